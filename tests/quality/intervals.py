"""How far figures may be off: 95 % intervals by the bootstrap, whose samples are series drawn with replacement.

False episodes and hits of each series are counted once at each of some hundred thresholds; a sample then is a weight
for each series, and all samples' figures are a few products of matrices.
"""

import numpy as np

# False episodes that may be, for each ordinary row.
BUDGETS = {"recall_1000": 1e-3, "recall_10000": 1e-4}
FIGURES = ["hit", "false_day", *BUDGETS]
SAMPLES = 500
LEVELS = [2.5, 97.5]
# Thresholds besides the events' own, at which no budget is to be exceeded either.
BETWEEN = 150


def draws(score, found, threshold, seed=0):
    """The figures of each sample: an array for each figure."""
    samples = np.random.default_rng(seed).multinomial(len(found), np.full(len(found), 1 / len(found)), SAMPLES)
    return sampled(score, found, threshold, samples.astype(float))


def sampled(score, found, threshold, weights):
    """The figures of samples of the series, a row of weights each."""
    events = np.array([len(one["events"]) for one in found], float)
    days = np.array([one["days"] for one in found])
    rows = np.array([one["ordinary"].sum() for one in found], float)
    tops = [peaks(one) for one in found]
    with np.errstate(invalid="ignore", divide="ignore"):
        hits = np.array([(top >= threshold).sum() for top in tops], float)
        false = np.array([episodes(score, one, [threshold])[0] for one in found], float)
        figures = {"hit": weights @ hits / (weights @ events), "false_day": weights @ false / (weights @ days)}
        levels = grid(found, tops)
        hits = np.array([(top[None, :] >= levels[:, None]).sum(axis=1) for top in tops], float)
        false = weights @ np.array([episodes(score, one, levels) for one in found], float)
        recalls = weights @ hits / (weights @ events)[:, None]
        for name, share in BUDGETS.items():
            within = np.logical_and.accumulate(false <= share * (weights @ rows)[:, None], axis=1).sum(axis=1)
            padded = np.concatenate((np.zeros((len(weights), 1)), recalls), axis=1)
            figures[name] = padded[np.arange(len(weights)), within]
    return figures


def peaks(one):
    """The highest score of each event."""
    return np.array([one["score"][first : last + 1].max() for first, last in one["events"]])


def grid(found, tops):
    """Thresholds from the highest down: where recall may change, and some of those where false episodes may."""
    ordinary = np.concatenate([one["score"][one["ordinary"]] for one in found])
    ordinary = np.sort(ordinary[np.isfinite(ordinary)])[::-1]
    # With more rows above it than this, a threshold exceeds every budget in whatever sample.
    low = ordinary[min(len(ordinary) - 1, len(ordinary) // 4)] if len(ordinary) else 0.0
    ranks = np.unique(np.geomspace(1, max(1, len(ordinary) // 4), BETWEEN).astype(int)) - 1
    events = np.concatenate(tops) if tops else np.array([])
    events = events[np.isfinite(events) & (events >= low)]
    return np.unique(np.concatenate((events, ordinary[ranks] if len(ordinary) else [])))[::-1]


def episodes(score, one, levels):
    """False episodes at each threshold, as score.py counts them."""
    rows = np.flatnonzero(one["ordinary"] & (one["score"] >= min(levels)))
    values = one["score"][rows]
    return [score.episodes(rows[values >= level]) for level in levels]


def between(figure):
    figure = figure[np.isfinite(figure)]
    return [float(level) for level in np.percentile(figure, LEVELS)] if len(figure) else None


def of(drawn):
    """An interval for each figure."""
    return {name: between(drawn[name]) for name in FIGURES}


def joined(drawn):
    """What the mean of sets draws, each resampled by itself."""
    return {name: np.mean([one[name] for one in drawn], axis=0) for name in FIGURES}
