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


def at_threshold(alarms, unheld):
    heading("Alarms at the threshold")
    paragraph(
        "Here an *alarm* is a score above 1, as in an alert rule. \"Rows in alarm\" is the share of rows outside of "
        "labels above 1, mean and median over a set's series; compare it with the configured `false_alarm_rate` of "
        f"1e-4, which is {percent(RATE)}. \"Not held\" is the same for models that do not hold alarms (see below). "
        "\"Begun in 10,000\" is the number of alarms that begin in 10,000 such rows, where a run of rows is one "
        "alarm; at 1e-4 it would be at most 1. \"Silent series\" have no row above 1. \"Events found\" are labelled "
        "events with a row above 1, \"rows later\" the median number of rows from their beginning to that row. A "
        "detector that is always in alarm would find every event at once, so read a line as a whole."
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
        "**On metrics that drift, alarm rates exceed the configured rate by far.** The last part of the training rows "
        "sets the threshold, and the rate holds as long as ordinary behaviour stays as it was then. In these sets it "
        "often does not: later values have another level, or change more, without a label. `zscore` scores the level "
        "itself, and is in alarm for as long as the level differs. The other trained kinds score changes, so a new "
        "level alone raises no alarm; but they hold an alarm until the level is ordinary again, and if it hardly "
        "returns to the learned one, a single alarm lasts for thousands of rows. The difference to models that do not "
        "hold (trained with `level = 0`) shows how much that is; the rest are changes larger than those that set the "
        "threshold. A few series make up most of a mean that lies far above its median. If metrics change "
        "permanently, train again."
    )
    paragraph(
        "**The threshold may also be too high**, if the rows that set it varied more than those that followed: in "
        "silent series the events may rank first, which VUS-PR measures, and still none of them reaches 1. Not every "
        "alarm outside of a label is false: the labels may be incomplete."
    )
    paragraph(
        f"{LONG}, {len(alarms[LONG][TRAINED[0]])} service indicators of one metric each with a row a minute, is "
        "included for alarms only."
    )


def outside(counted):
    shares = [one["outside"] for one in counted]
    return f"{percent(mean(shares))} / {percent(median(shares))}"


def three(figures):
    return slashed(figures[metric] for metric in METRICS)
