"""What the page says of other detectors on the same series."""

import json
from pathlib import Path
from statistics import mean

import tsb
from intervals import BUDGETS
from markdown import heading, paragraph, table
from page_events import RECALL, number
from replay import STREAMING
from sets import REAL, SCENARIOS

FIGURES = Path(__file__).resolve().parent / "rivals.json"
# What of a detector depends on later rows, and its mark.
MARKS = {None: "", "scale": " ¹", "score": " ²"}


def measured():
    return json.loads(FIGURES.read_text())["rivals"] if FIGURES.is_file() else {}


def wanted(compared):
    """To find more, at the same price, than any other, even those that see the rest of the series."""
    for what, names in (("the scenarios", [SCENARIOS]), ("mean of the sets compared", others_have(compared))):
        of = {name: recalls(one["sets"], names) for name, one in measured().items()}
        of = {name: figures for name, figures in of.items() if figures}
        if not of:
            continue
        best = [max(figures[at] for figures in of.values()) for at in range(len(BUDGETS))]
        holders = [next(name for name, figures in of.items() if figures[at] == top) for at, top in enumerate(best)]
        got = recalls(compared, names)
        met = all(one > other for one, other in zip(got, best))
        what = f"`{STREAMING}`: recall at 1 false episode in 1,000 / 10,000 rows, {what}"
        yield what, "more than any other", " / ".join(map(number, got)), met, reference(holders, best)


def reference(holders, best):
    if len(set(holders)) == 1:
        return f"{holders[0]}: {' / '.join(map(number, best))}"
    return " / ".join(f"{name}: {number(figure)}" for name, figure in zip(holders, best))


def others_have(compared):
    return [name for name in REAL if name in compared]


def recalls(of, names):
    """The mean recall at each budget, if all of these sets are there."""
    there = all(name in of for name in names)
    return [mean(of[name][budget] for name in names) for budget in BUDGETS] if there else None


def section(compared):
    """`compared` has the figures of the streaming detector on the very same series."""
    others = measured()
    if not others:
        return
    ours = {"threshold": 1, "later": None, "sets": compared}
    rows = {f"**`{STREAMING}`**": ours, **{named(name, of): of for name, of in others.items()}}
    heading(f"`{STREAMING}` compared with other detectors")
    methods()
    scenarios(rows)
    real(rows, others_have(compared))


def methods():
    paragraph(
        "Each detector scores the same series, and the same scorer rates them. `make rivals` measured the others. "
        "Their figures are for series with one column: the first seed of the scenarios, and all such series of the "
        "seven sets; hence OpenSearch is missing, and of Nezha there are 14 series. A cell is empty where a detector "
        "needs longer series than the set has. Counters are given to the others as differences."
    )
    paragraph(
        "Random Cut Forest is its authors' library (4.4.0) configured as in OpenSearch; it reports where the anomaly "
        "grade is above 0. Netdata's method and the seasonal band are short programs by the authors of the scorer. "
        "The first follows Netdata's documentation: 18 k-means models of the last days, all of which must agree; it "
        "reports where 60 % of the last five rows are anomalous. The second is the range of the same quarter of an "
        "hour over the last 14 days; it reports where two rows in a row lie four deviations outside. Sub-PCA, POLY "
        "and KMeansAD come from the TSB-AD package, with the parameters that it recommends for series of one column. "
        f"The moving variance (of {tsb.WINDOW} rows) and the squared difference to the row before are one line of code "
        "each. These five have no threshold. They get values standardised over the whole series. In rows marked "
        "scaled, and for the three of the package, the scores are standardised over the whole series as well, which "
        "helps where one threshold applies to several series."
    )
    paragraph(
        f"Netdata's method takes a row as a minute, unless it is five. The constants of `{STREAMING}` were chosen with "
        "knowledge of these sets, those of the others were not."
    )
    paragraph(
        "Marked detectors are not causal, so a live pipeline cannot use them: ¹ the scale comes from the whole "
        "series, later rows included; ² the score itself depends on later rows."
    )


def scenarios(rows):
    table(
        ["scenarios, first seed", "threshold", "hit", "false episodes a series and day", *RECALL],
        [
            [name, threshold(of), *figures(of, SCENARIOS, ["hit", "false_day", *BUDGETS])]
            for name, of in rows.items()
            if SCENARIOS in of["sets"]
        ],
    )


def real(rows, names):
    paragraph(
        "Recall at 1 false episode in 1,000 / in 10,000 ordinary rows. The mean is that of the sets in this table."
    )
    table(
        ["", *(f"{name} ({sample(rows, name)})" for name in names), "mean"],
        [[name, *pairs(of, names, list(BUDGETS))] for name, of in rows.items()],
    )
    paragraph("At each detector's own threshold: events hit / false episodes a series and day.")
    table(
        ["", *names, "mean"],
        [[name, *pairs(of, names, ["hit", "false_day"])] for name, of in rows.items() if of["threshold"] is not None],
    )


def named(name, of):
    return name + MARKS[of["later"]]


def threshold(of):
    return "" if of["threshold"] is None else f"{of['threshold']:g}"


def sample(rows, name):
    """How many series a set has here."""
    return next(of["sets"][name]["series"] for of in rows.values() if name in of["sets"])


def figures(of, name, which):
    return [number(of["sets"][name][one]) for one in which]


def pairs(of, names, which):
    """Two figures of each set and of their mean, which is there only if all sets are."""
    found = [of["sets"].get(name) for name in names]
    cells = [" / ".join(number(one[figure]) for figure in which) if one else "" for one in found]
    means = [number(mean(one[figure] for one in found)) for figure in which] if all(found) else []
    return [*cells, " / ".join(means)]
