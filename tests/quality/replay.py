"""Trains and scores with the real binary: every score that is measured comes from here.

A folder of scores has a CSV for each series: a row for each row of the input, first the time, then a score for each
column or detector, and last the largest of them, empty while nothing is scored.
"""

import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SETS = ["SMD", "ASD", "JumpStarter"]
# One metric each.
LONG = "AIOPS-KPI"
TRAINED = ["zscore", "pca-mahalanobis", "isolation-forest", "extended-isolation-forest", "autoencoder"]
STREAMING = "streaming"
# What the streaming detector has seen when the test part begins.
ALONE, AFTER = "alone", "after train"
STARTS = [ALONE, AFTER]
# How the scores of a row's metrics become one.
MAXIMUM, MEAN = "maximum", "mean"
JOINS = [MAXIMUM, MEAN]
# How many things run at once.
JOBS = int(os.environ.get("QUALITY_JOBS", "2"))


def say(text):
    print(f"quality: {text}", file=sys.stderr, flush=True)


def run(*command):
    """Runs one program, for what it prints; if it fails, that is shown, which ends everything."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}quality: this failed: {' '.join(map(str, command))}")
    return done.stdout


def each(work, items):
    """Works on all items, a few at once."""
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(work, items))


def read(path):
    """The scores of a replay, and last the largest of each row; NaN where nothing is scored."""
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return np.array([[float(cell or "nan") for cell in row[1:]] for row in rows])


def made(path):
    """The path, in a folder that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


class Data:
    """What prepare.py made."""

    def __init__(self, folder):
        self.folder = folder

    def series(self, name):
        return sorted(path.name.removesuffix(".test.csv") for path in (self.folder / name).glob("*.test.csv"))

    def train(self, name, series):
        return self.folder / name / f"{series}.train.csv"

    def test(self, name, series):
        return self.folder / name / f"{series}.test.csv"

    def labels(self, name):
        return self.folder / "labels" / name

    def label(self, name, series):
        return np.load(self.labels(name) / f"{series}.npz")["label"].ravel() > 0

    def times(self, path):
        """When each row was, as it is written."""
        with open(path) as file:
            return [line.split(",")[0] for line in file][1:]


class Trained:
    """Detectors that learn from a series' first part and score its second one."""

    def __init__(self, qualm, data, work):
        self.qualm, self.data, self.work = qualm, data, work

    def scores(self, name, detector):
        """With the defaults."""
        say(f"{detector} on {name}")
        folder = self.work / "scores" / "trained" / name / detector
        models = self.work / "models" / "trained" / name / detector

        def one(series):
            train, model, scores = self.data.train(name, series), models / series, folder / f"{series}.csv"
            run(self.qualm, "train", "--detector", detector, "--input", train, "--out", made(model))
            test = self.data.test(name, series)
            run(self.qualm, "replay", "--model", model, "--input", test, "--scores", made(scores))

        each(one, self.data.series(name))
        return folder


class Streaming:
    """The detector that needs no training, with the shipped configuration."""

    def __init__(self, score, data, work):
        """`score` takes pairs of files: what to score, and where to write the scores."""
        self.score, self.data, self.work = score, data, work

    def folder(self, name, start=ALONE, join=MAXIMUM):
        return self.work / "scores" / STREAMING / name / start.replace(" ", "-") / join

    def scores(self, name, start=ALONE):
        """Scores each series' test part: from its first row on, or having seen the train part."""
        say(f"{STREAMING} on {name}, {start}")
        folder = self.folder(name, start)
        series = self.data.series(name)
        inputs = [self.data.test(name, one) if start == ALONE else self.both(name, one) for one in series]
        self.score([(whole, made(folder / f"{one}.csv")) for whole, one in zip(inputs, series)])
        for one in series:
            if start == AFTER:
                cut(folder / f"{one}.csv", rows=len(self.data.times(self.data.train(name, one))))
            average(folder / f"{one}.csv", made(self.folder(name, start, MEAN) / f"{one}.csv"))

    def whole(self, name, series):
        """Scores each series of a set that has no train part, from its first row on."""
        say(f"{STREAMING} on {name}")
        folder = self.folder(name)
        self.score([(one.path, made(folder / f"{one.stem}.csv")) for one in series])
        return folder

    def both(self, name, series):
        """The train part with the test part behind it."""
        train, test = (part(name, series).read_text().splitlines() for part in (self.data.train, self.data.test))
        last, first = train[-1].split(",")[0], test[1].split(",")[0]
        if train[0] != test[0] or last >= first:
            sys.exit(f"quality: {name} {series}: the train part ends {last}, and the test part begins {first}")
        path = made(self.work / "inputs" / name / f"{series}.csv")
        path.write_text("\n".join([*train, *test[1:], ""]))
        return path


def replayed(qualm):
    """Scores files with `qualm replay`."""
    return lambda pairs: each(lambda pair: run(qualm, "replay", "--input", pair[0], "--scores", pair[1]), pairs)


def cut(path, rows):
    """Drops so many of the first rows."""
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *lines[rows:], ""]))


def average(path, out):
    """Writes the mean of each row's scores, over the metrics that have one."""
    scores = read(path)[:, :-1]
    there = ~np.isnan(scores)
    count = there.sum(axis=1)
    means = np.where(there, scores, 0.0).sum(axis=1) / np.maximum(count, 1)
    cells = (str(score) if of else "" for score, of in zip(means.tolist(), count))
    out.write_text("\n".join(["time,score", *(f",{cell}" for cell in cells), ""]))
