"""What the page says of figures that the shipped constants had no part in, and of what each part of the detector adds.

Both are measured by the native harness, which leaves a JSON file for each, and both are left out where it did not.
FIGURES are `hit`, `false_day`, `recall_1000` and `recall_10000`; any may be missing.

nested.json: {"in_sample": {SET: FIGURES}, "out_of_fold": {SET: FIGURES}, "intervals": {SET: {FIGURE: [low, high]}},
"nab": {"in_sample": [standard, low FP, low FN], "out_of_fold": [...], "unseen": [...]}}; the last two may be missing.
ablation.json: {"parts": [{"without": TEXT, FIGURES}]}.
"""

import json
from pathlib import Path

from intervals import BUDGETS, FIGURES
from markdown import heading, paragraph, slashed, table
from page_events import RECALL, number
from replay import STREAMING
from sets import REAL

HERE = Path(__file__).resolve().parent
NESTED, PARTS = HERE / "nested.json", HERE / "ablation.json"
# What of NAB the search did not see.
LEFT_OUT = {"in_sample": "in sight", "out_of_fold": "each group of streams left out", "unseen": "all of it left out"}
COLUMNS = ["hit", "false episodes a series and day", *RECALL]


def sections():
    if NESTED.is_file():
        nested(json.loads(NESTED.read_text()))
    if PARTS.is_file():
        parts(json.loads(PARTS.read_text())["parts"])


def nested(found):
    heading(f"`{STREAMING}` with constants chosen without the set")
    paragraph(
        "The shipped constants were chosen with knowledge of all these sets. Here four of them are chosen again by "
        "one search over a small grid: once with all sets, and once for each set without it (the scenarios are one of "
        "the sets). Each cell is the set's figure with the set in sight / left out. The difference between the two "
        "shows how much these four constants were fitted to the set. Neither is the shipped figure, because the "
        "search weighs false episodes differently."
    )
    inside, outside = found["in_sample"], found["out_of_fold"]
    rows = [[name, *(both(inside.get(name, {}), of, figure) for figure in FIGURES)] for name, of in outside.items()]
    means = [figure_mean(inside, outside, figure) for figure in FIGURES]
    table(["set", *COLUMNS], rows, [["**mean of the seven**", *means]])
    if intervals := {name: of for name, of in found.get("intervals", {}).items() if isinstance(of, dict)}:
        rows = [[name, *(ranged(of.get(figure)) for figure in FIGURES)] for name, of in intervals.items()]
        table(["95 % interval, left out", *COLUMNS], rows)
    if nab := found.get("nab"):
        table(
            ["NAB, standard / low FP / low FN", "score"],
            [[what, slashed(nab[of], ".1f")] for of, what in LEFT_OUT.items() if of in nab],
        )


def figure_mean(inside, outside, figure):
    """Of the sets that are not generated and that both have."""
    names = [name for name in REAL if name in outside]
    names = [name for name in names if None not in (inside.get(name, {}).get(figure), outside[name].get(figure))]
    sums = [sum(of[name][figure] for name in names) / len(names) for of in (inside, outside)] if names else []
    return " / ".join(map(number, sums))


def both(inside, outside, figure):
    return f"{number(inside.get(figure))} / {number(outside.get(figure))}"


def ranged(interval):
    return f"{number(interval[0])} to {number(interval[1])}" if interval else ""


def parts(found):
    heading("What each part adds", 3)
    paragraph(
        "Measured by the native harness with one part of the detector switched off at a time, and everything else as "
        "shipped."
    )
    rows = [[one["without"], *(number(one.get(figure)) for figure in ["hit", "false_day", *BUDGETS])] for one in found]
    table(["without", *COLUMNS], rows)
