#!/usr/bin/env python3
"""Scores labelled metrics with the real binary, and writes what came of it as JSON.

Quality is computed by score.py, which is no part of this project; what is counted here besides needs the score's own
threshold, 1: alarms outside of labels, and how soon a labelled event is found.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

SETS = ["SMD", "ASD", "JumpStarter"]
# Long, and one metric each: score.py's VUS-PR would take an hour, so only what is counted here is measured.
LONG = "AIOPS-KPI"
TRAINED = ["zscore", "pca-mahalanobis", "isolation-forest", "extended-isolation-forest"]
STREAMING = "streaming"
DETECTORS = [*TRAINED, STREAMING]
# Those that hold an alarm while the level stays out, measured without that as well.
HOLDING = TRAINED[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qualm", type=Path, required=True, help="the binary")
    parser.add_argument("--score", type=Path, required=True, help="score.py")
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--work", type=Path, required=True, help="where models, scores and measured.json go")
    bench = Bench(**vars(parser.parse_args()))
    measured = {"nab": bench.nab(), "ranges": {}, "alarms": {}, "unheld": {}}
    for name in [*SETS, LONG]:
        for detector in DETECTORS:
            bench.scores(name, detector)
            measured["alarms"].setdefault(name, {})[detector] = bench.alarms(name, detector)
        for detector in HOLDING:
            bench.scores(name, detector, held=False)
            measured["unheld"].setdefault(name, {})[detector] = bench.alarms(name, detector, held=False)
    for name in SETS:
        for detector in DETECTORS:
            measured["ranges"].setdefault(name, {})[detector] = bench.ranges(name, detector)
    (bench.work / "measured.json").write_text(json.dumps(measured, indent=1))


class Bench:
    def __init__(self, qualm, score, data, work):
        self.qualm, self.score, self.data, self.work = qualm, score, data, work

    def run(self, *command):
        """Runs one program; what it prints is shown if it fails, which ends everything."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{done.stdout}quality: this failed: {' '.join(map(str, command))}")

    def folder(self, name, detector, held=True):
        return self.work / ("scores" if held else "unheld") / name / detector

    def scores(self, name, detector, held=True):
        """Trains on each series' first part and scores its second one. Defaults, but for `held`."""
        say(f"{detector} on {name}{'' if held else ', alarms not held'}")
        for series in self.series(name):
            test = self.data / name / f"{series}.test.csv"
            scores = self.folder(name, detector, held) / f"{series}.csv"
            scores.parent.mkdir(parents=True, exist_ok=True)
            if detector == STREAMING:
                self.run(self.qualm, "replay", "--input", test, "--scores", scores)
                continue
            model = self.work / "models" / ("" if held else "unheld") / name / detector / series
            model.parent.mkdir(parents=True, exist_ok=True)
            train = self.data / name / f"{series}.train.csv"
            how = ["--detector", detector] if held else ["--spec", self.unheld(train, detector)]
            self.run(self.qualm, "train", *how, "--input", train, "--out", model)
            self.run(self.qualm, "replay", "--model", model, "--input", test, "--scores", scores)

    def unheld(self, train, detector):
        """What `--detector` makes of a CSV file, every column being a feature, but for `level`."""
        with open(train, newline="") as file:
            columns = next(csv.reader(file))[1:]
        features = (f"[[features]]\nname = '{c}'\nmeasurement = '{train.stem}'\nfield = '{c}'\n" for c in columns)
        spec = self.work / "unheld.toml"
        spec.write_text(f"detector = '{detector}'\n{''.join(features)}[parameters]\nlevel = 0\n")
        return spec

    def series(self, name):
        return sorted(path.name.removesuffix(".test.csv") for path in (self.data / name).glob("*.test.csv"))

    def ranges(self, name, detector):
        say(f"VUS-PR of {detector} on {name}")
        return self.scored("range", self.folder(name, detector), name)

    def nab(self):
        """The streaming detector on each stream, from its first row."""
        say(f"{STREAMING} on NAB")
        streams = self.data / "NAB"
        folder = self.folder("NAB", STREAMING)
        for stream in sorted(streams.rglob("*.csv")):
            scores = folder / stream.relative_to(streams)
            scores.parent.mkdir(parents=True, exist_ok=True)
            self.run(self.qualm, "replay", "--input", stream, "--scores", scores)
        return self.scored("nab", folder, "NAB")

    def scored(self, kind, folder, name):
        out = folder.with_suffix(".json")
        labels = self.data / "labels" / name
        self.run(sys.executable, self.score, kind, "--scores", folder, "--labels", labels, "--out", out)
        return json.loads(out.read_text())

    def alarms(self, name, detector, held=True):
        counted = {}
        for series in self.series(name):
            label = np.load(self.data / "labels" / name / f"{series}.npz")["label"].ravel() > 0
            counted[series] = count(read(self.folder(name, detector, held) / f"{series}.csv"), label)
        return counted


def read(path):
    """The scores of a replay: a row each, a column a detector or, of the streaming one, a metric; last the largest."""
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return np.array([[float(cell or "nan") for cell in row[1:]] for row in rows])


def count(scores, label):
    """What a series' alarms come to, an alarm being a score above 1."""
    if len(scores) != len(label):
        sys.exit(f"quality: {len(scores)} scores for {len(label)} labels")
    alarm = scores[:, -1] > 1
    begun = alarm & ~np.concatenate(([False], alarm[:-1]))
    ordinary = ~label & ~np.isnan(scores[:, -1])
    values = scores[:, :-1][ordinary]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], label, [False]))))
    delays = [int(np.argmax(alarm[a:b])) for a, b in zip(edges[::2], edges[1::2]) if alarm[a:b].any()]
    return {
        "outside": float(alarm[ordinary].mean()),
        "outside_values": float((values > 1).sum() / (~np.isnan(values)).sum()),
        "begun_outside": float(begun[ordinary].mean()),
        "silent": not alarm.any(),
        "events": len(edges) // 2,
        "delays": delays,
    }


def say(text):
    print(f"quality: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
