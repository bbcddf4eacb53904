"""Slow, steady growth: the medians of a window's blocks, and three questions about them (README.md says why three)."""
import json
import math
from bisect import bisect_left, bisect_right, insort
from operator import mul
from statistics import NormalDist, median

from componentize_py_types import Err
from wit_world.exports import detection
from wit_world.exports.detection import Description, Error_BadModel, Error_BadShape, Error_BadState, Verdicts
from wit_world.imports import log

VERSION = 1
BLOCKS = 60  # to a window
HELD = 64  # values of the block that fills; when there are that many, every other one is dropped
GOLDEN = 0x9E3779B9  # its multiples, cut to 32 bits, spread evenly
DEFAULTS = {"direction": "up", "growth": 0.05, "significance": 1e-4, "window_hours": 24}
SCALE = "the least of Mann-Kendall's z, the drift's t and the growth, each in units of what makes it an anomaly"


class Detector(detection.Detector):
    def __init__(self, settings: dict):
        self.settings = settings
        self.sign = -1 if settings["direction"] == "down" else 1
        self.block = round(settings["window_hours"] * 3600e9 / BLOCKS)  # nanoseconds
        self.normal = -NormalDist().inv_cdf(settings["significance"])
        self.student = self.normal + (self.normal**3 + self.normal) / (4 * BLOCKS)  # nearly Student's quantile
        # By number: [by how much its blocks end early, the filling block, its values, [block, median] before, score].
        self.series = {}

    @classmethod
    def open(cls, model: bytes):
        try:
            settings = DEFAULTS | json.loads(model)
            if unknown := settings.keys() - DEFAULTS:
                raise ValueError(f"there is no `{min(unknown)}`, but {', '.join(DEFAULTS)}")
            if settings["direction"] not in ("up", "down"):
                raise ValueError('`direction` is "up" or "down"')
            for name, least, most in (("growth", 0, 1e9), ("significance", 0, 0.5), ("window_hours", 0, 1e5)):
                if not least < settings[name] < most:
                    raise ValueError(f"`{name}` is more than {least} and less than {most}")
        except (TypeError, ValueError) as why:
            raise Err(Error_BadModel(f"parameters of leak: {why}"))
        return cls(settings)

    def describe(self):
        return Description("leak", str(VERSION), 1, BLOCKS * 9 // 10, SCALE)

    def observe(self, batch, explain: bool):
        if not len(batch.series) == len(batch.timestamps) == len(batch.values):
            raise Err(Error_BadShape("leak takes one time and one value a row"))
        scores = list(map(self.score, batch.series, batch.timestamps, batch.values))
        return Verdicts(scores, [score if score > 1 else 0.0 for score in scores] if explain else [])

    def score(self, number: int, time: int, value: float) -> float:
        if math.isnan(value):
            return value
        series = self.series.get(number)
        # Each series' blocks end at times of their own, or else one batch would have to judge them all.
        early = series[0] if series else (hash(value) * GOLDEN % 2**32) * self.block >> 32
        at = (time + early) // self.block
        if series is None or abs(at - series[1]) > BLOCKS:
            if series:
                log.write(log.Level.WARN, "a series' time jumped by more than a window: it is learnt anew")
            series = self.series[number] = [early, at, [], [], math.nan]
        elif at > series[1]:
            medians = [[then, middle] for then, middle in series[3] if then >= at - BLOCKS]
            medians.append([series[1], median(series[2])])
            series[1:] = at, [], medians, self.judge([middle for _, middle in medians])
        if len(series[2]) == HELD:
            del series[2][::2]
        series[2].append(self.sign * value)
        return series[4]

    def judge(self, medians: list[float]) -> float:
        count, growth = len(medians), medians[-1] - medians[0]
        if count < BLOCKS * 9 // 10:
            return math.nan
        if growth <= 0:
            return 0.0
        steps = [after - before for before, after in zip(medians, medians[1:])]
        off = [step - growth / len(steps) for step in steps]
        variance = sum(map(mul, off, off)) / (len(steps) - 1)
        drift = growth / math.sqrt(len(steps) * variance) if variance > 0 else math.inf
        rises, ordered = 0, []
        for index, middle in enumerate(medians):
            rises += bisect_left(ordered, middle) - (index - bisect_right(ordered, middle))
            insort(ordered, middle)
        trend = (rises - 1) / math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
        share = growth / max(map(abs, medians))
        return max(0.0, min(trend / self.normal, drift / self.student, share / self.settings["growth"]))

    def forget(self, series: list[int]):
        for number in series:
            self.series.pop(number, None)

    def save(self, series: list[int]) -> bytes:
        return json.dumps([VERSION, self.settings, [self.series.get(number) for number in series]]).encode()

    def restore(self, state: bytes, series: list):
        try:
            version, settings, saved = json.loads(state)
            if version != VERSION or settings != self.settings or len(saved) != len(series):
                raise ValueError("saved by another version, with other parameters, or of other series")
            for early, filling, values, medians, score in filter(None, saved):
                numbers = [score, *values, *(middle for _, middle in medians)]
                if not type(early) is type(filling) is int or not values or set(map(type, numbers)) != {float}:
                    raise ValueError("a series of another shape")
        except (TypeError, ValueError) as why:
            raise Err(Error_BadState(f"state of leak: {why}"))
        self.series.update((number, one) for number, one in zip(series, saved) if number is not None and one)
