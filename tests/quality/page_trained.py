"""The page on the detectors that are trained."""

from statistics import mean, median

import references
from markdown import heading, paragraph, percent, slashed, table
from replay import HOLDING, LONG, SETS, TRAINED
from scorer import METRICS

# VUS-PR that the best shipped default is to reach, and forests: that of scikit-learn's.
WANTED = {"SMD": 0.28, "ASD": 0.39, "JumpStarter": 0.31}
FORESTS = [detector for detector in TRAINED if detector.endswith("isolation-forest")]
RATE = 1e-4


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


def best(ranges):
    """The kind that does best over all sets."""
    return max(TRAINED, key=lambda detector: mean(vus(ranges, detector, name) for name in SETS))


def vus(ranges, detector, name):
    return ranges[name][detector]["mean"]["VUS-PR"]


def sections(measured):
    quality(measured["ranges"], measured["alarms"])
    one_by_one(measured["ranges"])
    at_threshold(measured["alarms"], measured["unheld"])


def quality(ranges, alarms):
    heading("Ranking")
    paragraph(
        "They learn from the first part of each series, without labels, and score the second one. Each cell is VUS-PR / "
        "AUC-PR / event F1, the mean over a set's series; event F1 is at the best threshold there is, not at 1."
    )
    table(
        ["", *(f"{name} ({len(alarms[name][TRAINED[0]])} series)" for name in SETS)],
        [[f"`{detector}`", *(three(ranges[name][detector]["mean"]) for name in SETS)] for detector in TRAINED],
        [[f"*{what}*", *(f"*{one}*" for one in references.cells(what))] for what in references.RANGES],
    )
    paragraph(
        "Rows in italics are with scikit-learn, on standardised columns. The sketches show where simple things already "
        "reach."
    )
    paragraph(
        "Forests and PCA beside their namesakes in italics are not like beside like: by default all trained kinds but "
        "`zscore` are shown how a row differs from the last ones, with its directions whitened, and average their "
        "scores over some 40 rows, where most references take each row as it is."
    )
    one = best(ranges)
    paragraph(
        f"Of one trained kind for all sets `{one}` does best, with a mean VUS-PR of "
        f"{mean(vus(ranges, one, name) for name in SETS):.3f} over the three. That it is the best was seen on these "
        "very series, too."
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


def at_threshold(alarms, unheld):
    heading("Alarms at the threshold")
    paragraph(
        "Here an alarm is a score above 1, as in an alert rule. The first figures are the share of rows outside of "
        "labels that are in alarm: the mean and the median over a set's series, to be held against the configured "
        f"`false_alarm_rate` of 1e-4, which is {percent(RATE)}. The second are the same for models that do not hold "
        "alarms (more on that below). The third is how many alarms begin there in 10,000 such rows, a run of rows in "
        "alarm being one; at 1e-4 it would be at most 1. Then the series in which nothing at all is above 1, the "
        "labelled events in which something is, and how many rows after their beginning that comes (the median of the "
        "events found). A detector that is always in alarm would find every event at once, so read all of a line "
        "together."
    )
    head = ["set", "detector", "rows in alarm, mean / median", "not held", "begun in 10,000", "silent series"]
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
                    outside(unheld[name][detector].values()) if detector in HOLDING else "",
                    f"{1e4 * mean(one['begun_outside'] for one in counted):.1f}",
                    f"{sum(one['silent'] for one in counted)}",
                    f"{len(delays)} of {sum(one['events'] for one in counted)}",
                    f"{median(delays):.0f}" if delays else "",
                ]
            )
    table([*head, "events found", "rows later"], rows)
    paragraph(
        "**Alarm rates on metrics that drift exceed what is set, by far.** A threshold is set by the last part of the "
        "training rows, and its rate holds as long as what is ordinary stays as it was then. In these sets it often "
        "does not: what came later is elsewhere, or changes more, without a label. `zscore` judges the level itself, "
        "and is in alarm for as long as it is elsewhere. The other trained kinds look at changes, so a new level "
        "alone raises no alarm; but an alarm once raised is held while the level stays out, and where the level "
        "hardly returns to what was learnt, one alarm lasts for thousands of rows. How much that makes up is the "
        "difference to the figures of models that do not hold (trained with `level = 0`); what remains is changes "
        "larger than those that set the threshold. A few series make up most of a mean that lies far above its "
        "median. Where metrics move for good, train anew."
    )
    paragraph(
        "**The threshold may lie too far out as well**, where the rows that set it were livelier than those that "
        "followed: in silent series events may well be ranked first, as VUS-PR has it, and yet none of them reaches "
        "1. Not every alarm outside of a label is false, either: labels are those of the people who wrote them."
    )
    paragraph(
        f"{LONG}, {len(alarms[LONG][TRAINED[0]])} service indicators of one metric each and a row a minute, is here for "
        "alarms alone."
    )


def outside(counted):
    shares = [one["outside"] for one in counted]
    return f"{percent(mean(shares))} / {percent(median(shares))}"


def three(figures):
    return slashed(figures[metric] for metric in METRICS)
