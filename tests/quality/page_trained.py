"""The page on the detectors that are trained."""

from statistics import mean, median

import references
from markdown import heading, paragraph, percent, slashed, table
from replay import LONG, SETS, TRAINED
from scorer import METRICS

# VUS-PR that the best shipped default is to reach, and forests: that of scikit-learn's.
WANTED = {"SMD": 0.45, "ASD": 0.56, "JumpStarter": 0.54}
FORESTS = [detector for detector in TRAINED if detector.endswith("isolation-forest")]
RATE = 1e-4
# Whose alarms are to hold their rate.
ALARMS = ["pca-mahalanobis", "isolation-forest", "autoencoder"]


def wanted(measured):
    """What is to be reached: what, how much, what was measured, whether that is enough, and the reference."""
    one = best(measured["ranges"])
    for name in SETS:
        got = vus(measured["ranges"], one, name)
        forest = references.vus(references.FOREST, name)
        by = f"Isolation Forest: {forest:.3f}"
        yield f"`{one}`: VUS-PR on {name}, trained", f"≥ {WANTED[name]:.2f}", f"{got:.3f}", got >= WANTED[name], by
        of = {detector: vus(measured["ranges"], detector, name) for detector in FORESTS}
        got = ", ".join(f"{figure:.3f}" for figure in of.values())
        yield f"both forests: VUS-PR on {name}, trained", f"≥ {forest:.3f}", got, min(of.values()) >= forest, by
    for detector in ALARMS:
        counted = [measured["alarms"][name][detector].values() for name in SETS]
        rates = [rate(of) / RATE for of in counted]
        got = ", ".join(f"{one:.1f}" for one in rates)
        yield f"`{detector}`: ordinary rows above 1, over the configured rate, each set", "≤ 3", got, max(rates) <= 3, ""
        hits = [sum(len(one["delays"]) for one in of) / sum(one["events"] for one in of) for of in counted]
        got = ", ".join(f"{one:.2f}" for one in hits)
        yield f"`{detector}`: events found at the threshold, each set", "≥ 0.70", got, min(hits) >= 0.7, ""


def best(ranges):
    """The kind that does best over all sets."""
    return max(TRAINED, key=lambda detector: mean(vus(ranges, detector, name) for name in SETS))


def vus(ranges, detector, name):
    return ranges[name][detector]["mean"]["VUS-PR"]


def sections(measured):
    quality(measured["ranges"], measured["alarms"])
    one_by_one(measured["ranges"])
    at_threshold(measured["alarms"])


def quality(ranges, alarms):
    heading("Ranking")
    paragraph(
        "Trained detectors learn from the first part of each series, without labels, and score the second part. Each "
        "cell is VUS-PR / AUC-PR / event F1, the mean over a set's series; event F1 is at the best possible "
        "threshold, not at 1."
    )
    table(
        ["", *(f"{name} ({len(alarms[name][TRAINED[0]])} series)" for name in SETS)],
        [[f"`{detector}`", *(three(ranges[name][detector]["mean"]) for name in SETS)] for detector in TRAINED],
        [[f"*{what}*", *(f"*{one}*" for one in references.cells(what))] for what in references.RANGES],
    )
    paragraph(
        "Rows in italics use scikit-learn on standardised columns. The sketches show what simple methods achieve."
    )
    paragraph(
        "Forests and PCA are not directly comparable with the rows of the same name in italics: by default all "
        "trained kinds except `zscore` get the difference of a row to the last ones, with whitened directions, and "
        "average their scores over some 40 rows, while most references use each row as it is."
    )
    one = best(ranges)
    paragraph(
        f"The best single kind for all sets is `{one}`, with a mean VUS-PR of "
        f"{mean(vus(ranges, one, name) for name in SETS):.3f} over the three. This choice was made on the same series."
    )


def one_by_one(ranges):
    heading("Series by series")
    print("VUS-PR.\n")
    table(
        ["", *(f"`{detector}`" for detector in TRAINED)],
        [
            [f"{name} {one}", *(f"{ranges[name][detector]['series'][one]['VUS-PR']:.3f}" for detector in TRAINED)]
            for name in SETS
            for one in ranges[name][TRAINED[0]]["series"]
        ],
    )


def at_threshold(alarms):
    heading("Alarms at the threshold")
    paragraph(
        "A row above 1 reports an incident, and once ([models.md](models.md#which-rows-are-reported)). \"Rows above 1\" is the "
        "share of rows outside of labels above 1: of all a set's series together, and the largest of one series; compare it "
        f"with the configured `false_alarm_rate` of {percent(RATE)}. \"Silent series\" have no row above 1. \"Events found\" "
        "are labelled events with a row above 1, \"rows later\" the median number of rows from their beginning to that row. "
        "A report before an event's first row, or after its last, does not count as finding it."
    )
    head = ["set", "detector", "rows above 1, all / largest", "silent series"]
    rows = []
    for name, of in alarms.items():
        for detector in TRAINED:
            counted = of[detector].values()
            delays = [delay for one in counted for delay in one["delays"]]
            rows.append(
                [
                    f"{name} ({len(counted)})",
                    f"`{detector}`",
                    outside(counted),
                    f"{sum(one['silent'] for one in counted)}",
                    f"{len(delays)} of {sum(one['events'] for one in counted)}",
                    f"{median(delays):.0f}" if delays else "",
                ]
            )
    table([*head, "events found", "rows later"], rows)
    paragraph(
        "**The rate holds on metrics that drift**, because the threshold adapts to each series as it goes, and because an "
        "incident is reported once. The price is paid in events: an incident that begins with less than what was "
        "reported shortly before, or with less than drift has raised the threshold to, is not reported."
    )
    paragraph(
        "In silent series the events may rank first, which VUS-PR measures, and still none of them reaches 1. Not "
        "every report outside of a label is false: the labels may be incomplete."
    )
    paragraph(
        f"{LONG}, {len(alarms[LONG][TRAINED[0]])} service indicators of one metric each with a row a minute, is "
        "included for alarms only."
    )


def rate(counted):
    """The share of ordinary rows above 1, of all series together."""
    rows = [one["ordinary"] for one in counted]
    return sum(one["outside"] * ordinary for one, ordinary in zip(counted, rows)) / sum(rows)


def outside(counted):
    return f"{percent(rate(counted))} / {percent(max(one['outside'] for one in counted))}"


def three(figures):
    return slashed(figures[metric] for metric in METRICS)
