#!/usr/bin/env python3
"""Prints docs/quality.md, given what measure.py measured."""

import json
import sys
from pathlib import Path
from statistics import mean, median

from measure import DETECTORS, HOLDING, LONG, SETS, STREAMING, TRAINED

METRICS = ["VUS-PR", "AUC-PR", "event-F1"]
RATE = 1e-4

# VUS-PR that the best shipped default is to reach.
WANTED = {"SMD": 0.28, "ASD": 0.39, "JumpStarter": 0.31}

FOREST = "Isolation Forest (100 × 256)"
# The same series and scorer, with scikit-learn: measured once by those who wrote score.py, copied from its README.
REFERENCE = {
    "largest z of any column": "0.260 / 0.254 / 0.553, 0.201 / 0.152 / 0.368, 0.124 / 0.112 / 0.473",
    "PCA (90 % of variance), squared prediction error": "0.269 / 0.284 / 0.499, 0.245 / 0.203 / 0.463, 0.178 / 0.172 / 0.692",
    "PCA, Mahalanobis distance in the subspace": "0.253 / 0.261 / 0.580, 0.187 / 0.141 / 0.362, 0.114 / 0.102 / 0.483",
    FOREST: "0.221 / 0.226 / 0.413, 0.250 / 0.233 / 0.484, 0.130 / 0.120 / 0.479",
    "sketch: PCA (10 components), squared error": "0.246 / 0.258 / 0.419, 0.367 / 0.296 / 0.509, 0.190 / 0.175 / 0.740",
    "sketch: the same, inputs clipped at ±5 σ": "0.282 / 0.253 / 0.570, 0.366 / 0.293 / 0.488, 0.198 / 0.189 / 0.690",
    "sketch: the same, mean of the last 10 rows": "0.245 / 0.286 / 0.355, 0.362 / 0.307 / 0.424, 0.244 / 0.262 / 0.703",
    "sketch: each feature's PCA error in units of its own spread, clipped, plus each value's distance to the nearest "
    "training value, mean of 10 rows": "0.190 / 0.268 / 0.288, 0.394 / 0.379 / 0.498, 0.313 / 0.297 / 0.746",
}

PROFILES = ["standard", "reward_low_FP", "reward_low_FN"]
# On the same 31 streams; the sketch is by those who wrote score.py, the others are from the published score files.
NAB_REFERENCE = {
    "ARTime": "78.2 / 70.4 / 83.1",
    "CAD OSE": "74.1 / 71.7 / 76.9",
    "sketch: distance to the nearest value ever seen": "71.8 / 60.4 / 77.7",
    "Numenta HTM": "71.2 / 65.0 / 75.9",
    "AWS Random Cut Forest": "52.0 / 38.3 / 61.0",
    "windowed Gaussian": "36.7 / 21.4 / 45.2",
}


def main():
    measured = json.loads(Path(sys.argv[1]).read_text())
    ranges, alarms = measured["ranges"], measured["alarms"]
    series = {name: len(next(iter(of.values()))) for name, of in alarms.items()}
    print("# How well it finds anomalies\n")
    print(filled(
        "Made by `make quality`, which writes this page in full. It trains and scores with the binary itself, `qualm "
        "train` and `qualm replay`, with defaults throughout; a scorer that is no part of this project (`score.py`; "
        "VUS-PR and AUC-PR are the TSB-AD package's) says how good the scores are. The labelled metrics are no part "
        "of it either: `make quality QUALITY=FOLDER` says where both are."
    ))
    print()
    print(filled(
        "**Expect less on your own metrics.** The constants of the trained defaults were chosen while looking at "
        f"these very {sum(series[name] for name in SETS)} series, their labels included; those of `streaming` were "
        "measured on labelled metrics too, its half-life on SMD. So these figures show how well the defaults fit "
        "these series, and others should be expected to do worse."
    ))
    print(f"\n## {', '.join(SETS[:-1])} and {SETS[-1]}\n")
    print(filled(
        "Servers and services with 19 to 38 metrics each. The trained kinds learn from the first part of each series, "
        f"without labels, and score the second one; `{STREAMING}` sees the second part alone, and its score of a row "
        "is the largest of its metrics'. Each cell is VUS-PR / AUC-PR / event F1, the mean over a set's series; "
        "nothing is point-adjusted, and event F1 is at the best threshold there is, not at 1."
    ))
    print()
    table(
        ["", *(f"{name} ({series[name]} series)" for name in SETS)],
        [[f"`{detector}`", *(three(ranges[name][detector]["mean"]) for name in SETS)] for detector in DETECTORS],
        [[f"*{what}*", *figures.split(", ")] for what, figures in REFERENCE.items()],
    )
    print(filled(
        "Rows in italics are for reference: the same series and the same scorer, with scikit-learn on standardised "
        "columns. They were measured once, not by this command. The sketches show where simple things already reach."
    ))
    print()
    print(filled(
        "Forests and PCA beside their namesakes in italics are not like beside like: by default all trained kinds but "
        "`zscore` are shown how a row differs from the last ones, with its directions whitened, and average their "
        "scores over some 40 rows, where most references take each row as it is."
    ))
    print("\n### Wanted\n")
    print("Mean VUS-PR.\n")
    table(["what", *SETS], wanted(ranges))
    print(filled(best(ranges)))
    print("\n### Series by series\n")
    print("VUS-PR.\n")
    table(
        ["", *(f"`{detector}`" for detector in DETECTORS)],
        [
            [f"{name} {one}", *(f"{ranges[name][detector]['series'][one]['VUS-PR']:.3f}" for detector in DETECTORS)]
            for name in SETS
            for one in alarms[name][STREAMING]
        ],
    )
    print_alarms(measured, series)
    print_nab(measured["nab"])


def wanted(ranges):
    """What is to be reached, and whether it is."""
    vus = {detector: {name: ranges[name][detector]["mean"]["VUS-PR"] for name in SETS} for detector in DETECTORS}
    forest = dict(zip(SETS, (float(cell.split(" / ")[0]) for cell in REFERENCE[FOREST].split(", "))))
    rows = [["the best default, wanted", *(f"≥ {WANTED[name]:.2f}" for name in SETS)]]
    rows += [[f"`{detector}`", *(judged(of[name], WANTED[name]) for name in SETS)] for detector, of in vus.items()]
    rows.append(["forests, wanted: scikit-learn's Isolation Forest", *(f"≥ {forest[name]:.3f}" for name in SETS)])
    for detector in TRAINED:
        if detector.endswith("isolation-forest"):
            rows.append([f"`{detector}`", *(judged(vus[detector][name], forest[name]) for name in SETS)])
    return rows


def judged(figure, least):
    return f"{figure:.3f}" if figure >= least else f"{figure:.3f}: below"


def best(ranges):
    """Which kind does best, and how many of the figures wanted it reaches."""
    vus = {detector: [ranges[name][detector]["mean"]["VUS-PR"] for name in SETS] for detector in DETECTORS}
    one = max(vus, key=lambda detector: mean(vus[detector]))
    reached = sum(got >= WANTED[name] for got, name in zip(vus[one], SETS))
    return (
        f"Of one kind for all sets `{one}` does best, with a mean of {mean(vus[one]):.3f} over the three; it reaches "
        f"{reached} of the {len(SETS)} figures wanted. That it is the best was seen on these very series, too."
    )


def print_alarms(measured, series):
    alarms, unheld = measured["alarms"], measured["unheld"]
    print("## Alarms at the threshold\n")
    print(filled(
        "Here an alarm is a score above 1, as in an alert rule. The first figures are the share of rows outside of "
        "labels that are in alarm: the mean and the median over a set's series, to be held against the configured "
        f"`false_alarm_rate` of 1e-4, which is {percent(RATE)}. The second are the same for models that do not hold "
        "alarms (more on that below). The third is how many alarms begin there in 10,000 such rows, a run of rows in "
        "alarm being one; at 1e-4 it would be at most 1. Then the series in which nothing at all is above 1, the "
        "labelled events in which something is, and how many rows after their beginning that comes (the median of the "
        "events found). A detector that is always in alarm would find every event at once, so read all of a line "
        "together."
    ))
    print()
    head = ["set", "detector", "rows in alarm, mean / median", "not held", "begun in 10,000", "silent series"]
    rows = []
    for name, of in alarms.items():
        for detector in DETECTORS:
            counted = of[detector].values()
            delays = [delay for one in counted for delay in one["delays"]]
            rows.append([
                f"{name} ({series[name]})",
                f"`{detector}`",
                outside(counted),
                outside(unheld[name][detector].values()) if detector in HOLDING else "",
                f"{1e4 * mean(one['begun_outside'] for one in counted):.1f}",
                f"{sum(one['silent'] for one in counted)}",
                f"{len(delays)} of {sum(one['events'] for one in counted)}",
                f"{median(delays):.0f}" if delays else "",
            ])
    table([*head, "events found", "rows later"], rows)
    value = {name: mean(one["outside_values"] for one in of[STREAMING].values()) for name, of in alarms.items()}
    print(filled(
        f"`{STREAMING}`'s rate is that of each metric, and a row of 38 metrics is in alarm with any of them. Value by "
        f"value, outside of labels, it is {', '.join(f'{percent(rate)} on {name}' for name, rate in value.items())}."
    ))
    print()
    print(filled(
        "**Alarm rates on metrics that drift exceed what is set, by far.** A threshold is set by the last part of the "
        "training rows, and its rate holds as long as what is ordinary stays as it was then. In these sets it often "
        "does not: what came later is elsewhere, or changes more, without a label. `zscore` judges the level itself, "
        "and is in alarm for as long as it is elsewhere. The other trained kinds look at changes, so a new level "
        "alone raises no alarm; but an alarm once raised is held while the level stays out, and where the level "
        "hardly returns to what was learnt, one alarm lasts for thousands of rows. How much that makes up is the "
        "difference to the figures of models that do not hold (trained with `level = 0`); what remains is changes "
        "larger than those that set the threshold. A few series make up most of a mean that lies far above its "
        "median. Where metrics move for good, train anew."
    ))
    print()
    print(filled(
        "**The threshold may lie too far out as well**, where the rows that set it were livelier than those that "
        "followed: in silent series events may well be ranked first, as VUS-PR has it, and yet none of them reaches "
        "1. Not every alarm outside of a label is false, either: labels are those of the people who wrote them."
    ))
    print()
    print(filled(
        f"{LONG}, {series[LONG]} service indicators of one metric each and a row a minute, is here for alarms alone: "
        "VUS-PR of series of up to 150,000 rows takes too long."
    ))


def outside(counted):
    shares = [one["outside"] for one in counted]
    return f"{percent(mean(shares))} / {percent(median(shares))}"


def print_nab(nab):
    print("\n## NAB\n")
    print(filled(
        f"`{STREAMING}` on {nab['files']} of the Numenta Anomaly Benchmark's 58 streams, each from its first row; the "
        "benchmark's score, of which 0 is to be silent and 100 to be perfect, in its three profiles. By the "
        "benchmark's rules one threshold for all streams is the best there is, for each profile. Those in italics are "
        "for reference, on the same streams, and not measured by this command."
    ))
    print()
    table(
        ["", "standard / low FP / low FN"],
        [[f"`{STREAMING}`", " / ".join(f"{nab[profile]['score']:.1f}" for profile in PROFILES)]],
        [[f"*{what}*", figures] for what, figures in NAB_REFERENCE.items()],
    )
    thresholds = " / ".join(f"{nab[profile]['threshold']:.2f}" for profile in PROFILES)
    print(filled(f"The best thresholds are {thresholds}, where an alert rule has 1."))


def three(figures):
    return " / ".join(f"{figures[metric]:.3f}" for metric in METRICS)


def percent(share):
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def table(head, *bodies):
    """A table, and an empty line."""
    for cells in [head, ["---"] * len(head), *(row for rows in bodies for row in rows)]:
        print(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    print()


def filled(text):
    """A paragraph in lines of up to 120 characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > 120:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


if __name__ == "__main__":
    main()
