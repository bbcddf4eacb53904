"""How far each value is from what its series was like: standard deviations, in units of the threshold.

Mean and variance are exponentially weighted (West 1979), one pair for each feature of each series. All arithmetic is
IEEE 754's own, so that the scores are the same to the last bit on every machine. componentize-py finds this by its
name, which is the interface's.
"""

import json
import math

from componentize_py_types import Err
from wit_world.exports import detection
from wit_world.exports.detection import Description, Error_BadModel, Error_BadShape, Error_BadState, Verdicts

KIND = "my-detector"
VERSION = "1"  # changes when the same rows may get other scores
FEATURES = 1

# What saved state begins with: whose it is, and in which format.
FORMAT = "my-detector state 1"

# What can be set: the model is a JSON object with some of these.
DEFAULTS = {
    "threshold": 5.0,  # standard deviations from the mean at which an anomaly begins
    "memory": 1000,  # rows that the mean is taken over, about
    "warm_up": 100,  # rows of a series before its first score
}

# Values farther out are taken for this, so that no square is infinite.
MOST = 1e100


class Detector(detection.Detector):
    def __init__(self, settings: dict):
        self.threshold, self.memory, self.warm_up = (float(settings[name]) for name in DEFAULTS)
        self.series = {}  # by number: for each feature, rows seen, mean, variance

    @classmethod
    def open(cls, model: bytes) -> "Detector":
        try:
            settings = json.loads(model)
            unknown = settings.keys() - DEFAULTS.keys()
            if unknown:
                raise ValueError(f"there is no `{min(unknown)}`, but {', '.join(DEFAULTS)}")
            settings = DEFAULTS | settings
            if not (settings["threshold"] > 0 and settings["memory"] >= 1 and settings["warm_up"] >= 1):
                raise ValueError("`threshold` is more than 0, `memory` and `warm_up` are at least 1")
            return cls(settings)
        except (AttributeError, TypeError, ValueError) as why:
            raise Err(Error_BadModel(f"parameters of {KIND}: {why}"))

    def describe(self) -> Description:
        scale = f"{self.threshold:g} standard deviations from the mean of the series"
        return Description(KIND, VERSION, FEATURES, int(self.warm_up), scale)

    def observe(self, batch: detection.Observations, explain: bool) -> Verdicts:
        series, values = batch.series, batch.values
        if len(batch.timestamps) != len(series) or len(values) != len(series) * FEATURES:
            raise Err(Error_BadShape(f"{KIND} takes a time and {FEATURES} values a row"))
        scores, contributions = [], []
        for row, number in enumerate(series):
            known = self.series.get(number)
            if known is None:
                known = self.series[number] = [[0.0, 0.0, 0.0] for _ in range(FEATURES)]
            score, shares = math.nan, []
            for feature, value in zip(known, values[row * FEATURES : (row + 1) * FEATURES]):
                share = self.share(feature, value)
                if not abs(share) <= score and share == share:  # NaN is neither
                    score = abs(share)
                shares.append(share if share == share else 0.0)
            scores.append(score)
            if explain:
                contributions += shares if score > 1 else [0.0] * FEATURES
        return Verdicts(scores, contributions)

    def share(self, known: list, value: float) -> float:
        """How far a value is out; NaN while little is known. Then learns from it."""
        if value != value:
            return value
        rows, mean, variance = known
        off = min(max(value, -MOST), MOST) - mean
        # Never 0, so that a series which never changed is no special case.
        deviation = math.sqrt(variance) + 1e-9 * (1 + abs(mean))
        share = math.nan
        if rows >= self.warm_up:
            most = self.threshold * deviation
            share = off / most
            off = min(max(off, -most), most)  # what is strange is learnt slowly, or an anomaly would hide the next
        weight = 1 / min(rows + 1, self.memory)
        known[:] = rows + 1, mean + weight * off, (1 - weight) * (variance + weight * off * off)
        return share

    def forget(self, series: list) -> None:
        for number in series:
            self.series.pop(number, None)

    def save(self, series: list) -> bytes:
        return json.dumps([FORMAT, FEATURES, [self.series.get(number) for number in series]]).encode()

    def restore(self, state: bytes, series: list) -> None:
        try:
            form, features, saved = json.loads(state)
            if (form, features) != (FORMAT, FEATURES) or len(saved) != len(series):
                raise ValueError(f"no state of {len(series)} series that {KIND} saved")
            sound = {number: checked(known) for number, known in zip(series, saved) if number is not None and known}
        except (TypeError, ValueError) as why:
            raise Err(Error_BadState(str(why)))
        self.series.update(sound)


def checked(known: list) -> list:
    """What is known of a series, if it is three finite numbers a feature."""
    if len(known) != FEATURES or not all(len(feature) == 3 and all(map(math.isfinite, feature)) for feature in known):
        raise ValueError("a series of another shape")
    return known
