#!/usr/bin/env python3
"""Scores labelled metrics with the real binary, and writes what came of it as JSON."""

import argparse
import json
from pathlib import Path

import alarms
import events
import intervals
import resources
import scorer
import sets
from replay import ALONE, JOINS, LONG, SETS, STARTS, TRAINED, Data, Streaming, Trained, replayed


def main():
    given = arguments()
    data = Data(given.data)
    out = given.work / "measured.json"
    earlier = json.loads(out.read_text()) if out.is_file() else {}
    detector = Streaming(replayed(given.qualm), data, given.work)
    measured = {"streaming": incidents(detector, given.score)}
    if given.events:
        out.write_text(json.dumps({**earlier, **measured}, indent=1))
        return
    rows(detector, given.score, measured["streaming"])
    measured["streaming"]["cost"] = resources.cost(given.qualm, given.work)
    measured["streaming"]["memory"] = resources.memory(given.qualm, given.work)
    measured["streaming"]["bench"] = given.criterion and resources.bench(given.criterion, given.qualm)
    if not given.streaming:
        measured["trained"] = trained(Trained(given.qualm, data, given.work), given.score)
    elif "trained" in earlier:
        measured["trained"] = earlier["trained"]
    out.write_text(json.dumps(measured, indent=1))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qualm", type=Path, required=True, help="the binary")
    parser.add_argument("--score", type=Path, required=True, help="score.py")
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--work", type=Path, required=True, help="where models, scores and measured.json go")
    parser.add_argument("--criterion", type=Path, help="where `cargo bench` keeps its figures of this binary's code")
    parser.add_argument("--events", action="store_true", help="only what needs minutes: incidents of the untrained sets")
    parser.add_argument("--streaming", action="store_true", help="keep the others' figures of an earlier run")
    return parser.parse_args()


def incidents(detector, score):
    """Of the detector that needs no training: what it reports of sets without a train part."""
    untrained, counted = of_events(detector, scorer.load(score))
    nab = scorer.nab(score, detector.folder("NAB"), detector.data.labels("NAB"))
    return {"events": untrained, "nab": nab, "alarms": {ALONE: counted}}


def rows(detector, score, measured):
    """Adds how well it ranks the rows of the other sets, with and without their train part."""
    data = detector.data
    measured["ranges"] = {}
    for start in STARTS:
        for name in [*SETS, LONG]:
            detector.scores(name, start)
            counted = alarms.of_set(data, name, detector.folder(name, start))
            measured["alarms"].setdefault(start, {})[name] = counted
            for join in JOINS if name in SETS else JOINS[:1]:
                found = scorer.ranges(score, detector.folder(name, start, join), data.labels(name))
                measured["ranges"].setdefault(f"{start}, {join}", {})[name] = found


def of_events(detector, score):
    """The figures of the sets without a train part, and what the alarms of each of their series come to."""
    data, figures, counted, drawn = detector.data, {"real": {}, "compared": {}}, {}, {}
    comparable = {(one.set, one.stem) for _, found in sets.compared(data) for one in found}
    for name in [*sets.REAL, sets.SCENARIOS]:
        series = sets.series(data, name)
        folder = detector.whole(name, series)
        found = events.judged(score, data, series, lambda one: score.read_scores(folder / f"{one.stem}.csv"))
        counted[name] = alarms.of_series(data, folder, found)
        drawn[name] = intervals.draws(score, found, scorer.SHIPPED)
        whole = {**events.figures(score, found), "interval": intervals.of(drawn[name])}
        if name == sets.SCENARIOS:
            figures["scenarios"] = {"all": whole, **events.of_scenarios(score, found)}
        else:
            figures["real"][name] = whole
        if some := [one for one in found if (one["series"].set, one["series"].stem) in comparable]:
            figures["compared"][name] = events.figures(score, some)
    figures["mean"] = mean(sets.REAL, figures["real"], drawn)
    figures["mean without"] = mean([name for name in sets.REAL if name != sets.HARD], figures["real"], drawn)
    return figures, counted


def mean(names, figures, drawn):
    """The mean of sets, each of which is resampled by itself."""
    joined = intervals.joined([drawn[name] for name in names])
    return {**events.mean([figures[name] for name in names]), "interval": intervals.of(joined)}


def trained(detectors, score):
    """Of those that are trained."""
    data = detectors.data
    measured = {"ranges": {}, "alarms": {}}
    for name in [*SETS, LONG]:
        for detector in TRAINED:
            folder = detectors.scores(name, detector)
            measured["alarms"].setdefault(name, {})[detector] = alarms.of_set(data, name, folder)
            if name in SETS:
                measured["ranges"].setdefault(name, {})[detector] = scorer.ranges(score, folder, data.labels(name))
    return measured


if __name__ == "__main__":
    main()
