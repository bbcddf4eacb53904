"""What a series' alarms come to, an alarm being a score above 1: how many are false, and how soon an event is found."""

import sys
from datetime import datetime

import numpy as np

from replay import read

# The row from which on a series is no longer new.
SETTLED = 500


def of_set(data, name, folder):
    """Those of each series of a set."""
    counted = {}
    for series in data.series(name):
        times = data.times(data.test(name, series))
        counted[series] = count(read(folder / f"{series}.csv"), data.label(name, series), minutes(times))
    return counted


def of_series(data, folder, found):
    """Those of series that score.py has labels of, as events.py found them."""
    counted = {}
    for one in found:
        series = one["series"]
        counted[series.stem] = count(read(folder / f"{series.stem}.csv"), one["label"], series.step() / 60)
    return counted


def minutes(times):
    """The usual step from a row to the next."""
    times = [datetime.fromisoformat(time.replace("Z", "+00:00")) for time in times[:1000]]
    return float(np.median([(b - a).total_seconds() for a, b in zip(times, times[1:])])) / 60


def count(scores, label, step):
    if len(scores) != len(label):
        sys.exit(f"quality: {len(scores)} scores for {len(label)} labels")
    alarm = scores[:, -1] > 1
    ordinary = ~label & ~np.isnan(scores[:, -1])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], label, [False]))))
    delays = [int(np.argmax(alarm[a:b])) for a, b in zip(edges[::2], edges[1::2]) if alarm[a:b].any()]
    return {
        "outside": float(alarm[ordinary].mean()),
        "ordinary": int(ordinary.sum()),
        "silent": not alarm.any(),
        "events": len(edges) // 2,
        "delays": delays,
        "minutes": step,
        "metrics": [of_metric(column, label) for column in scores[:, :-1].T],
    }


def of_metric(scores, label):
    """Of one metric's rows outside of labels: how many are scored, how many are in alarm, how many alarms begin; and
    the first two of the rows from SETTLED on."""
    alarm = scores > 1
    ordinary = ~label & ~np.isnan(scores)
    counts = [ordinary, alarm & ordinary, begun(alarm) & ordinary, ordinary[SETTLED:], (alarm & ordinary)[SETTLED:]]
    return [int(rows.sum()) for rows in counts]


def begun(alarm):
    return alarm & ~np.concatenate(([False], alarm[:-1]))


def rates(counted):
    """The share of values in alarm, of each metric of a set, outside of labels."""
    return [alarmed / scored for one in counted.values() for scored, alarmed, *_ in one["metrics"] if scored]


def settled(counted):
    """The share of values in alarm from row SETTLED on, of all metrics of a set together, outside of labels."""
    scored, alarmed = np.sum([metric[3:] for one in counted.values() for metric in one["metrics"]], axis=0)
    return alarmed / scored if scored else None


def per_day(counted):
    """Alarms that begin in a day, of each metric of a set, outside of labels."""
    day = 24 * 60
    return [
        began * day / (scored * one["minutes"])
        for one in counted.values()
        for scored, _, began, *_ in one["metrics"]
        if scored
    ]


def delays(counted):
    """How long after the beginning of each event that is found it is found: in rows, and in minutes."""
    found = [(rows, rows * one["minutes"]) for one in counted.values() for rows in one["delays"]]
    return zip(*found) if found else ((), ())
