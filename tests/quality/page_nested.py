"""What the page says of figures that the shipped constants had no part in, and of what each part of the detector adds.

Both are measured by the native harness, which leaves a JSON file for each, and both are left out where it did not.
FIGURES are `hit`, `false_day`, `recall_1000` and `recall_10000`; any may be missing.

nested.json: {"in_sample": {SET: FIGURES}, "out_of_fold": {SET: FIGURES}, "intervals": {SET: {FIGURE: [low, high]}},
"nab": {"in_sample": [standard, low FP, low FN], "out_of_fold": [...]}}; the last two may be missing.
ablation.json: {"parts": [{"without": TEXT, FIGURES}]}.
"""

import json
from pathlib import Path

from intervals import BUDGETS, FIGURES
from markdown import heading, paragraph, slashed, table
from page_events import RECALL, number
from replay import STREAMING

HERE = Path(__file__).resolve().parent
NESTED, PARTS = HERE / "nested.json", HERE / "ablation.json"
COLUMNS = ["hit", "false episodes a series and day", *RECALL]


def sections():
    if NESTED.is_file():
        nested(json.loads(NESTED.read_text()))
    if PARTS.is_file():
        parts(json.loads(PARTS.read_text())["parts"])


def nested(found):
    heading(f"`{STREAMING}` on sets that its constants were not chosen on")
    paragraph(
        "The shipped constants were chosen with all of these sets in sight. Here they are chosen again for each set, "
        "on the others alone, by the same search; then the set is scored with them. Each cell is the figure with the "
        "set in sight / with the set left out. On your own metrics expect the second, not the first."
    )
    inside, outside = found["in_sample"], found["out_of_fold"]
    rows = [[name, *(both(inside.get(name, {}), of, figure) for figure in FIGURES)] for name, of in outside.items()]
    means = [figure_mean(inside, outside, figure) for figure in FIGURES]
    table(["set", *COLUMNS], rows, [["**mean**", *means]])
    if intervals := {name: of for name, of in found.get("intervals", {}).items() if isinstance(of, dict)}:
        rows = [[name, *(ranged(of.get(figure)) for figure in FIGURES)] for name, of in intervals.items()]
        table(["95 % interval, left out", *COLUMNS], rows)
    if nab := found.get("nab"):
        table(
            ["NAB, standard / low FP / low FN", "score"],
            [[what, slashed(nab[of], ".1f")] for what, of in (("in sight", "in_sample"), ("left out", "out_of_fold"))],
        )


def figure_mean(inside, outside, figure):
    """Of the sets that both have."""
    names = [name for name in outside if None not in (inside.get(name, {}).get(figure), outside[name].get(figure))]
    sums = [sum(of[name][figure] for name in names) / len(names) for of in (inside, outside)] if names else []
    return " / ".join(map(number, sums))


def both(inside, outside, figure):
    return f"{number(inside.get(figure))} / {number(outside.get(figure))}"


def ranged(interval):
    return f"{number(interval[0])} to {number(interval[1])}" if interval else ""


def parts(found):
    heading("What each part adds", 3)
    paragraph(
        "Measured by the native harness, with one part of the detector switched off at a time and all else as shipped."
    )
    rows = [[one["without"], *(number(one.get(figure)) for figure in ["hit", "false_day", *BUDGETS])] for one in found]
    table(["without", *COLUMNS], rows)
