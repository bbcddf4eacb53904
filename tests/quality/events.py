"""Which events are found, how late, and at the price of how many false episodes: counted by score.py."""

import json
from functools import cache
from statistics import median

import numpy as np

import intervals
from scorer import SHIPPED
from sets import TOLERANCE

# Observations at the start of each series that count nowhere, as score.py has it.
WARMUP = 100
# What a scenario without an incident has in its place.
NONE = "none"
# Seconds between rows where labels have no times, as score.py has it.
STEP = 60


def judged(score, data, series, scores):
    """What score.py makes of each series: its events, its ordinary rows and its scores, which `scores` gives."""
    found = []
    for one in series:
        label, times = labels(score, data, one)
        of = scores(one)
        if len(of) != len(label):
            raise SystemExit(f"quality: {one.set} {one.stem}: {len(of)} scores for {len(label)} labels")
        dissected = score.dissect(of, label, times, TOLERANCE.get(one.set, 0), WARMUP)
        found.append({**dissected, "series": one, "label": label > 0})
    return found


@cache
def labels(score, data, series):
    """Which rows are labelled, and when they were."""
    folder = data.labels(series.set)
    return score.labelled(folder, series.stem, windows(folder / "windows.json"), STEP)


@cache
def windows(file):
    return json.loads(file.read_text()) if file.is_file() else {}


def figures(score, found, threshold=SHIPPED, budgets=None):
    """The figures of some series; recall is at the thresholds of `budgets`, by default those of these very series."""
    whole = counted(score, found, threshold)
    for name, at in (budgets or thresholds(score, found)).items():
        whole[name] = score.recall(found, at)
    return whole


def counted(score, found, threshold):
    delays, hits, events, false = [], 0, 0, 0
    for one in found:
        for first, last in one["events"]:
            at = np.flatnonzero(one["score"][first : last + 1] >= threshold)
            hits, events = hits + bool(len(at)), events + 1
            delays.extend(int(row) for row in at[:1])
        false += score.episodes(np.flatnonzero(one["ordinary"] & (one["score"] >= threshold)))
    days = sum(one["days"] for one in found)
    return {
        "series": len(found),
        "events": events,
        "hit": hits / events if events else None,
        "false_day": float(false / days) if days else None,
        "delay": [median(delays), float(np.percentile(delays, 90))] if delays else None,
    }


def thresholds(score, found):
    """For each budget the lowest threshold that keeps within it."""
    return {name: score.budget(found, share) for name, share in intervals.BUDGETS.items()}


def mean(sets):
    """The mean of the sets' figures."""
    of = {name: [one[name] for one in sets if one[name] is not None] for name in intervals.FIGURES}
    return {name: float(np.mean(found)) for name, found in of.items()}


def of_scenarios(score, found):
    """The figures of each kind of metric and each kind of incident, at the thresholds of all scenarios."""
    budgets = thresholds(score, found)
    days = sum(one["ordinary"].sum() * one["series"].step() / 86400 for one in found)
    counted = sum(score.episodes(np.flatnonzero(one["ordinary"] & (one["score"] >= SHIPPED))) for one in found)

    def grouped(part):
        groups = {}
        for one in found:
            groups.setdefault(part(one["series"].parts), []).append(one)
        return {name: figures(score, of, budgets=budgets) for name, of in groups.items()}

    return {
        "kinds": grouped(lambda parts: parts[0]),
        "incidents": grouped(lambda parts: NONE if parts[1].startswith(NONE) else parts[1]),
        "false_real_day": counted / days,
    }
