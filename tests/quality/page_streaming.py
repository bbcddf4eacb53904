"""What the page says of the streaming detector."""

from statistics import mean, median

import numpy as np

import alarms
import references
from markdown import heading, paragraph, percent, slashed, table
from replay import ALONE, JOINS, LONG, MAXIMUM, SETS, STARTS, STREAMING
from resources import GROWTH
from scorer import METRICS, PROFILES

# NAB's score in its three profiles, and how many points the shipped threshold may cost.
NAB_WANTED = [76, 66, 80]
NAB_LOST = 5

VUS_WANTED = {"SMD": 0.25, "ASD": 0.35, "JumpStarter": 0.25}

RATE = 1e-4
RATE_TEXT = "1e-4"
# How many times more or less the rate may be.
WITHIN = 3

BOTH = "untrained / the train part streamed first"

NS_WANTED = 300
ANOMALOUS_WANTED = 1.5


def wanted(measured):
    """What is to be reached: what, how much, what was measured, whether that is enough, and the reference."""
    return [
        *wanted_nab(measured["nab"]),
        *(wanted_vus(name, measured["ranges"]) for name in SETS if "ranges" in measured),
        wanted_rate(measured["alarms"][ALONE]),
        *(wanted_cost(measured) if "cost" in measured else []),
    ]


def wanted_nab(nab):
    best = [nab[profile]["best"]["all"] for profile in PROFILES]
    lost = [nab[profile]["best"]["all"] - nab[profile]["shipped"]["all"] for profile in PROFILES]
    least = slashed((f"> {one}" for one in NAB_WANTED), "")
    met = all(got > one for got, one in zip(best, NAB_WANTED))
    by = f"ARTime: {references.NAB['ARTime']}"
    yield f"`{STREAMING}`: NAB, standard / low FP / low FN, best threshold", least, slashed(best, ".1f"), met, by
    met = all(one <= NAB_LOST for one in lost)
    yield f"`{STREAMING}`: NAB, points lost at the shipped threshold", f"≤ {NAB_LOST}", slashed(lost, ".1f"), met, ""


def wanted_vus(name, ranges):
    got = [ranges[f"{start}, {MAXIMUM}"][name]["mean"]["VUS-PR"] for start in STARTS]
    least = VUS_WANTED[name]
    what = f"`{STREAMING}`: VUS-PR on {name}, {BOTH}"
    forest = references.vus(references.FOREST, name)
    return what, f"> {least}", slashed(got), min(got) > least, f"Isolation Forest, trained: {forest:.3f}"


def wanted_rate(counted):
    got = {name: alarms.settled(of) for name, of in counted.items()}
    met = sum(map(within, got.values()))
    what = f"`{STREAMING}`: values above 1 from row {alarms.SETTLED} on, over `false_alarm_rate`, each set"
    least, most = (f"{pick(got.values()) / RATE:.2g}" for pick in (min, max))
    found = f"{least} to {most}, {met} of {len(got)} within"
    return what, f"{1 / WITHIN:.2f} to {WITHIN}", found, met == len(got), ""


def wanted_cost(measured):
    cost, bench = measured["cost"], measured["bench"]
    if bench:
        what, ns = "cost of a value in the component, 1,000 a batch", bench["component"]
    else:
        what, ns = "cost of a value, all that scoring adds", cost["ordinary"]["ns"]
    yield f"`{STREAMING}`: {what}", f"< {NS_WANTED} ns", f"{ns:.0f} ns", ns < NS_WANTED, ""
    ratio = cost["anomalous"]["ns"] / cost["ordinary"]["ns"]
    what = f"`{STREAMING}`: cost of a stream of only anomalies, relative to an ordinary one"
    yield what, f"≤ {ANOMALOUS_WANTED}", f"{ratio:.2f}", ratio <= ANOMALOUS_WANTED, ""


def within(got):
    return RATE / WITHIN <= got <= RATE * WITHIN


def rate(share):
    return f"{1e4 * share:.2f}e-4"


def sections(measured):
    nab(measured["nab"])
    if "ranges" in measured:
        vus(measured["ranges"], measured["alarms"][ALONE])
    delay(measured["alarms"])
    false_alarms(measured["alarms"])
    if "cost" in measured:
        resources(measured)


def nab(found):
    heading(f"`{STREAMING}` by NAB's score")
    paragraph(
        f"{found['files']} of the Numenta Anomaly Benchmark's 58 streams with {found['windows']} windows, each from "
        "its first row. The benchmark's score is 0 for a silent detector and 100 for a perfect one, in three "
        "profiles: standard / low FP / low FN. By its rules the best threshold for all streams together is used, for "
        "each profile; the shipped threshold is 1, as in an alert rule."
    )
    at = slashed((found[profile]["at"] for profile in PROFILES), ".2f")
    table(
        ["all streams", f"at the best thresholds, {at}", "at the shipped one, 1"],
        [[f"`{STREAMING}`", *(of_group(found, threshold, "all") for threshold in ("best", "shipped"))]],
        [[f"*{what}*", f"*{figures}*", ""] for what, figures in references.NAB.items()],
    )
    paragraph(
        "By group, at the same thresholds. Streams without a window have no score; they can only lower the total."
    )
    table(
        ["group", "streams", "windows", "at the best thresholds", "at the shipped one"],
        [
            [name, *map(str, numbers), *(of_group(found, threshold, name) for threshold in ("best", "shipped"))]
            for name, numbers in found["groups"].items()
        ],
    )


def of_group(found, threshold, name):
    scores = [found[profile][threshold][name] for profile in PROFILES]
    return "" if None in scores else slashed(scores, ".1f")


def vus(ranges, counted):
    heading(f"`{STREAMING}` on {', '.join(SETS)} and {LONG}")
    paragraph(
        "Servers and services with 19 to 38 metrics each, and service indicators of one. Each metric is scored "
        "separately; a row's score is the largest of its metrics', which is what an alert rule uses, or, for "
        "comparison, their mean. Nothing is trained: the detector gets either only the test part, from its first row "
        "on (alone), or the train part before it (after train). Each cell is VUS-PR / AUC-PR / event F1, the mean "
        "over a set's series; event F1 is at the best possible threshold, not at 1."
    )
    names = [*SETS, LONG]
    table(
        ["", *(f"{name} ({len(counted[name])} series)" for name in names)],
        [
            [f"{start}, {join}", *(cell(ranges[f"{start}, {join}"].get(name)) for name in names)]
            for start in STARTS
            for join in JOINS
        ],
        [
            [f"*{what}, trained*", *(f"*{one}*" for one in references.cells(what)), ""]
            for what in (references.FOREST, references.LARGEST_Z)
        ],
    )
    paragraph(
        "For comparison, the TSB-AD leaderboard, on other and more series of several metrics: *0.31 for the best "
        "(CNN, OmniAnomaly, PCA, LSTM-AD) and 0.20 for Isolation Forest* as mean VUS-PR."
    )


def cell(found):
    return slashed(found["mean"][metric] for metric in METRICS) if found else ""


def false_alarms(counted):
    heading("Values above 1")
    paragraph(
        f"`false_alarm_rate` is {RATE_TEXT} by default: of 10,000 ordinary values of a metric one may be above 1. The "
        "table is for all scored values outside of labels: the share of values above 1, for all metrics of a set "
        f"together, from row {alarms.SETTLED} on, divided by that rate, which should be within {WITHIN} times of 1 "
        "either way; the same share from the first row on, metric by metric; and how many alerts begin in a day, "
        "where a run of values above 1 is one alert. Not all of them are false: the labels may be incomplete. A row "
        "of 38 metrics has an alert if any of them has one, hence the last column."
    )
    over = f"from row {alarms.SETTLED} on, over {RATE_TEXT}"
    shares = ["all rows: values above 1, mean of metrics", "median"]
    table(
        ["set", "", "metrics", over, *shares, "alerts a metric and day, mean", "median", "rows with an alert, mean"],
        [false_alarms_of(name, start, of) for start, sets in counted.items() for name, of in sets.items()],
    )


def false_alarms_of(name, start, of):
    shares, begun = alarms.rates(of), alarms.per_day(of)
    outside = percent(mean(one["outside"] for one in of.values()))
    late = alarms.settled(of)
    times = f"{late / RATE:.2g}" + ("" if within(late) else ": off")
    figures = [times, rate(mean(shares)), rate(median(shares)), f"{mean(begun):.3f}", f"{median(begun):.3f}", outside]
    return [name, start, str(len(shares)), *figures]


def delay(counted):
    heading("Delay", 3)
    paragraph(
        "Labelled events with a row above 1, and the time from the event's first row to the first of these rows. The "
        "tables above have the delays of the other sets."
    )
    table(
        ["set", "", "events found", "rows, median", "90th percentile", "minutes, median", "90th percentile"],
        [delay_of(name, start, sets[name]) for start, sets in counted.items() for name in [*SETS, LONG] if name in sets],
    )


def delay_of(name, start, of):
    rows, minutes = alarms.delays(of)
    figures = [f"{np.percentile(of, at):.0f}" if of else "" for of in (rows, minutes) for at in (50, 90)]
    return [name, start, f"{len(rows)} of {sum(one['events'] for one in of.values())}", *figures]


def resources(measured):
    cost, bench, memory = measured["cost"], measured["bench"], measured["memory"]
    heading(f"What `{STREAMING}` costs")
    rows = [
        [f"time for a value, all that scoring adds: {what}", f"{of['ns']:.0f} ns"]
        for what, of in (("ordinary ones", cost["ordinary"]), ("anomalies", cost["anomalous"]))
    ]
    for what, ns in (bench or {}).items():
        rows.append([f"time for a value in the detector, 1,000 a batch: {what}", f"{ns:.0f} ns"])
    for of in memory.values():
        rows.append([f"memory for a series, {of['rows']} rows of each seen", f"{of['bytes']:.0f} B"])
    table(["what", "measured"], rows)
    paragraph(
        "What scoring adds is the CPU time of `qualm replay` with the shipped configuration minus the time where "
        "nothing is selected, for lines of ten fields; it includes finding the series and writing the scores. "
        f"Anomalies: each row is {GROWTH} times as far out as the previous one; "
        f"{percent(cost['anomalous']['in_alarm'])} of their lines had an alert, and "
        f"{percent(cost['ordinary']['in_alarm'])} of the ordinary ones. The detector alone, natively and as a "
        "component, is timed by `cargo bench -p qualm --bench pieces`, which `make quality` runs; "
        "[benchmarks.md](benchmarks.md) has more. Memory is the growth of the process's peak for each series, "
        f"measured with {series(memory)} series; no snapshots are taken."
    )


def series(memory):
    return " and ".join(f"{of['series']:,}" for of in memory.values())
