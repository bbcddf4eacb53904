"""What score.py, which is no part of this project, says of scores; its functions are called here, several at once."""

import importlib.util
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from math import nextafter
from pathlib import Path
from statistics import mean

import numpy as np

import vus
from replay import JOBS, say
from TSB_AD.evaluation import basic_metrics as tsb

GENERATE_CURVE = tsb.generate_curve
METRICS = ["VUS-PR", "AUC-PR", "event-F1"]
PROFILES = ["standard", "reward_low_FP", "reward_low_FN"]
# An alarm is a score above 1, where score.py has those at a threshold in.
SHIPPED = nextafter(1.0, 2.0)


def load(path):
    spec = importlib.util.spec_from_file_location("score", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ranges(path, folder, labels):
    """VUS-PR, AUC-PR and event F1 of each series of a folder, and their means."""
    files = sorted(folder.glob("*.csv"), key=lambda file: -file.stat().st_size)
    say(f"VUS-PR of {len(files)} series, {folder.relative_to(folder.parents[3])}")
    quick, slow = of_one(path, files[-1], labels), of_one(path, files[-1], labels, patched=False)
    if abs(quick["VUS-PR"] - slow["VUS-PR"]) > 1e-9:
        sys.exit(f"quality: VUS-PR of {files[-1]} is {quick} here, and {slow} by TSB-AD")
    with ProcessPoolExecutor(JOBS) as pool:
        found = pool.map(of_one, *zip(*((path, file, labels) for file in files)))
        series = dict(sorted(zip((file.stem for file in files), found)))
    return {"mean": {metric: mean(one[metric] for one in series.values()) for metric in METRICS}, "series": series}


def of_one(path, file, labels, patched=True):
    """score.py takes a folder, so the series gets one of its own. It looks for VUS-PR in TSB-AD."""
    tsb.generate_curve = vus.generate_curve if patched else GENERATE_CURVE
    with tempfile.TemporaryDirectory() as alone:
        (Path(alone) / file.name).symlink_to(file.resolve())
        return load(path).ranges(Path(alone), labels)["series"][file.stem]


def nab(path, folder, labels):
    """NAB's score in its profiles: at the best threshold, which is one for all streams, and at the shipped one."""
    score = load(path)
    best = score.nab(folder, labels)
    streams = Streams(score, folder, labels)
    found = {}
    for profile in PROFILES:
        swept = best[profile]["threshold"]
        here, there = streams.scored(profile, swept), best[profile]["score"]
        if abs(here["all"] - there) > 0.01:
            sys.exit(f"quality: NAB at {swept} is {here['all']} here, and {there} by {path}")
        found[profile] = {"at": swept, "best": here, "shipped": streams.scored(profile, SHIPPED)}
    return {"files": best["files"], "windows": best["windows"], "groups": streams.groups(), **found}


class Streams:
    """The rows of NAB's streams as score.py weighs them."""

    def __init__(self, score, folder, labels):
        self.weights = score.PROFILES
        self.of = {}
        for name, windows in json.loads((labels / "windows.json").read_text()).items():
            with open(labels / "data" / name) as file:
                times = [line.split(",")[0] for line in file][1:]
            self.of[name] = score.nab_file(score.read_scores(folder / name), times, windows)

    def groups(self):
        """The folders of the streams: how many streams and windows each has."""
        groups = {}
        for name, (windows, _) in sorted(self.of.items()):
            streams, total = groups.get(group(name), (0, 0))
            groups[group(name)] = (streams + 1, total + windows)
        return groups

    def scored(self, profile, threshold):
        """The score of all streams, and of each group that has windows: 0 is to be silent, 100 to be perfect."""
        gains = {name: self.gain(name, profile, threshold) for name in self.of}
        tp, fn, _ = self.weights[profile]

        def share(names):
            windows = sum(self.of[name][0] for name in names)
            return 100 * sum(gains[name] for name in names) / (windows * (tp + fn)) if windows else None

        scores = {one: share([name for name in self.of if group(name) == one]) for one in self.groups()}
        return {"all": share(self.of), **scores}

    def gain(self, name, profile, threshold):
        """What a stream's alarms win over silence: each window's earliest alarm counts, and every one outside."""
        tp, fn, fp = self.weights[profile]
        alarms = [(window, weight) for score, window, weight in self.of[name][1] if score >= threshold]
        outside = sum(weight for window, weight in alarms if window is None)
        hit = {}
        for window, weight in alarms:
            if window is not None:
                hit[window] = max(weight, hit.get(window, -np.inf))
        return fp * outside + sum(fn + tp * weight for weight in hit.values())


def group(name):
    return name.split("/")[0]
