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
    what = f"`{STREAMING}`: a stream of nothing but anomalies, over an ordinary one"
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
    heading(f"`{STREAMING}` by NAB's own score")
    paragraph(
        f"{found['files']} of the Numenta Anomaly Benchmark's 58 streams with {found['windows']} windows, each from "
        "its first row; the benchmark's score, of which 0 is to be silent and 100 to be perfect, in its three "
        "profiles: standard / low FP / low FN. By the benchmark's rules one threshold for all streams is the best "
        "there is, for each profile; the shipped one is 1, as in an alert rule."
    )
    at = slashed((found[profile]["at"] for profile in PROFILES), ".2f")
    table(
        ["all streams", f"at the best thresholds, {at}", "at the shipped one, 1"],
        [[f"`{STREAMING}`", *(of_group(found, threshold, "all") for threshold in ("best", "shipped"))]],
        [[f"*{what}*", f"*{figures}*", ""] for what, figures in references.NAB.items()],
    )
    paragraph("Group by group, at the same thresholds. Streams without a window have no score: they can only cost.")
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
        "Servers and services with 19 to 38 metrics each, and service indicators of one. Each metric is scored alone; "
        "a row's score is the largest of its metrics', which is what an alert rule sees, or, to compare, their mean. "
        "Nothing is trained: either the test part is all that is ever seen, from its first row on (alone), or the "
        "train part was streamed before it (after train). Each cell is VUS-PR / AUC-PR / event F1, the mean over a "
        "set's series; event F1 is at the best threshold there is, not at 1."
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
        "The TSB-AD leaderboard has, over other and more series of several metrics, *0.31 for the best (CNN, "
        "OmniAnomaly, PCA, LSTM-AD) and 0.20 for Isolation Forest* as mean VUS-PR."
    )


def cell(found):
    return slashed(found["mean"][metric] for metric in METRICS) if found else ""


def false_alarms(counted):
    heading("Values above 1")
    paragraph(
        f"`false_alarm_rate` is {RATE_TEXT} by default: of 10,000 ordinary values of a metric one may be above 1. "
        "Measured on all scored values outside of labels: the share of values above 1, of all metrics of a set "
        f"together, from row {alarms.SETTLED} on, over that rate, which is to be within {WITHIN} times of 1 either "
        "way; the same share from the first row on, metric by metric; and how many alerts begin in a day, a run of "
        "values above 1 being one. Not every one is false: labels are those of the people who wrote them. A row of 38 "
        "metrics has an alert with any of them, hence the last column."
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
        "Labelled events in which a row is above 1, and how long after the event's first row the first of them comes. "
        "Those of the other sets are above."
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
    heading(f"What `{STREAMING}` takes")
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
        "What scoring adds is the CPU time of `qualm replay` with the shipped configuration less that where nothing is "
        "selected, over lines of ten fields; finding the series and writing the scores are in it. Anomalies: each row "
        f"is {GROWTH} times as far out as the last; {percent(cost['anomalous']['in_alarm'])} of their lines had "
        f"an alert, and {percent(cost['ordinary']['in_alarm'])} of the ordinary ones. The detector alone, natively and as "
        "component, is timed by `cargo bench -p qualm --bench pieces`, which `make quality` runs; "
        "[benchmarks.md](benchmarks.md) has more. Memory is what the process grows by with each series at its peak, "
        f"measured with {series(memory)} series; no snapshots are taken."
    )


def series(memory):
    return " and ".join(f"{of['series']:,}" for of in memory.values())
