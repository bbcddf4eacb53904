#!/usr/bin/env python3
"""Measures other detectors on the series that `streaming` is measured on, and writes their figures as JSON.

Three are run by the programs in the folder `rivals` beside score.py, the rest is in tsb.py. Each reads series of one
column: all of the sets that have some, and the first seed of the scenarios. Scores that are there from an earlier run
are kept, in target/quality/rivals; remove that folder to measure anew.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

import events
import intervals
import scorer
import sets
import staged
import tsb
from replay import Data, made, run, say

JARS = [f"software.amazon.randomcutforest:randomcutforest-{part}:4.4.0" for part in ("core", "parkservices")]
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
FOREST, NETDATA, BAND = "Random Cut Forest", "Netdata's method", "seasonal band"
# Where its users would set it, as the programs' README has it; those of TSB-AD have no such threshold.
THRESHOLDS = {FOREST: 1.0, NETDATA: 0.6, BAND: 4.0}
NETDATA_ROWS, BAND_UNIT = "5", "1"


def main():
    given = arguments()
    score, data = scorer.load(given.quality / "score.py"), Data(given.data)
    compared = list(sets.compared(data))
    runs = [
        Forest(given.quality / "rivals", given.work),
        Script(NETDATA, given.quality / "rivals" / "netdata_like.py", NETDATA_ROWS, given.work),
        Script(BAND, given.quality / "rivals" / "seasonal_band.py", BAND_UNIT, given.work),
        *(Whole(name, given.work) for name in tsb.DETECTORS),
    ]
    figures = {}
    for one in runs:
        if one.lacks():
            say(f"{one.name} is left out: there is no {one.lacks()}")
            continue
        one.score(compared)
        figures[one.name] = {"threshold": THRESHOLDS.get(one.name), "later": tsb.LATER.get(one.name)}
        figures[one.name]["sets"] = dict(measured(score, data, compared, one))
        given.out.write_text(json.dumps({"made by": "make rivals", "rivals": figures}, indent=1) + "\n")
        say(f"{one.name}: {summary(figures[one.name])}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quality", type=Path, required=True, help="the folder with score.py and rivals")
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py and scenarios.py made")
    parser.add_argument("--work", type=Path, required=True, help="where scores are kept")
    parser.add_argument("--out", type=Path, required=True, help="where the figures go")
    return parser.parse_args()


def measured(score, data, compared, one):
    """The figures of each set that was scored at all."""
    for name, series in compared:
        found = events.judged(score, data, series, lambda of: staged.read(score, of, one.scores))
        # Where no score differs from another, the detector never began: the series were too short for it.
        if all(np.ptp(of["score"][np.isfinite(of["score"])]) == 0 for of in found):
            continue
        threshold = THRESHOLDS.get(one.name)
        figures = events.figures(score, found, np.inf if threshold is None else threshold)
        if threshold is None:
            figures.update(hit=None, false_day=None, delay=None)
        yield name, figures


def summary(figures):
    """Recall at both budgets, set by set."""
    of = {name: [found[budget] for budget in intervals.BUDGETS] for name, found in figures["sets"].items()}
    return ", ".join(f"{name} {' / '.join(f'{recall:.2f}' for recall in recalls)}" for name, recalls in of.items())


class Rival:
    """A detector, and where it keeps its scores: a folder for each set, as in staged.py."""

    def __init__(self, name, work):
        self.name = name
        self.staged = work / "rivals" / "series"
        self.scores = work / "rivals" / "".join(letter if letter.isalnum() else "-" for letter in name)

    def lacks(self):
        """What it cannot do without and is not there."""
        return None

    def score(self, compared):
        """Scores what is not scored yet; a folder is given its name only once it is whole."""
        for name, series in compared:
            if (self.scores / name).is_dir():
                continue
            say(f"{self.name} on {name}")
            for one in series:
                staged.write(one, self.staged)
            part = self.scores / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            self.score_set(name, series, part)
            part.rename(self.scores / name)


class Forest(Rival):
    """Random Cut Forest by its authors' own library, set up as OpenSearch does."""

    def __init__(self, programs, work):
        super().__init__(FOREST, work)
        self.source, self.built = programs / "Rcf.java", work / "rivals" / "jars"

    def lacks(self):
        needed = [str(self.source)] if not self.source.is_file() else []
        needed += [tool for tool in ("java", "javac", "mvn") if not shutil.which(tool)]
        return needed[0] if needed else None

    def score_set(self, name, series, folder):
        if not (self.built / "Rcf.class").is_file():
            for jar in JARS:
                run("mvn", "-q", "-B", COPY, f"-Dartifact={jar}", f"-DoutputDirectory={self.built}")
            run("javac", "-cp", f"{self.built}/*", "-d", self.built, self.source)
        run("java", "-cp", f"{self.built}/*:{self.built}", "Rcf", self.staged / name, folder)


class Script(Rival):
    """A program in Python that takes a folder of series, one for scores, and a number."""

    def __init__(self, name, script, number, work):
        super().__init__(name, work)
        self.script, self.number = script, number

    def lacks(self):
        return None if self.script.is_file() else self.script

    def score_set(self, name, series, folder):
        run(sys.executable, self.script, self.staged / name, folder, self.number)


class Whole(Rival):
    """A detector of tsb.py; a series on which it fails has a score of 0 throughout."""

    def score_set(self, name, series, folder):
        for one in series:
            self.score_one(one, folder)

    def score_one(self, series, folder):
        values = staged.standardised(series)
        scores = tsb.scores(self.name, values)
        scores = np.zeros(len(values)) if scores is None else np.nan_to_num(scores)
        path = made(folder / f"{staged.name(series)}.csv")
        path.write_text("\n".join(["score", *map(repr, scores.tolist()), ""]))


if __name__ == "__main__":
    main()
