"""Detectors of the TSB-AD package, and two that are one line each, as its users run them: on a whole series at once.

The package's modules import PyTorch, `hurst` and `arch` for detectors that are not used here; empty modules stand in
for them during the import.
"""

import contextlib
import io
import sys
from functools import cache
from types import ModuleType

import numpy as np

# Modules that are not installed, and what is imported from each.
ABSENT = {"torch": "nn", "torch.nn": "nn", "hurst": "compute_Hc", "arch": "arch_model"}
# Observations in a window of the moving variance.
WINDOW = 10


def moving_variance(values):
    """The variance of the last observations."""
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate((np.full(WINDOW - 1, values[0]), values)), WINDOW)
    return windows.var(axis=1)


def squared_difference(values):
    return np.diff(values, prepend=values[0]) ** 2


def sub_pca(values):
    detector, _, _ = package()
    return detector(slidingWindow=period(values, 1), n_components=None).fit(column(values)).decision_scores_


def poly(values):
    _, detector, _ = package()
    return detector(power=4, window=period(values, 1)).fit(column(values)).decision_scores_


def kmeans_ad(values):
    _, _, detector = package()
    detector = detector(k=10, window_size=period(values, 2), stride=1)
    detector.model.set_params(random_state=0)
    return detector.fit_predict(column(values))


def scaled(detector):
    """Its scores with a mean of 0 and a deviation of 1 over a series, so that one threshold may suit several."""

    def scores(values):
        found = np.nan_to_num(np.asarray(detector(values), float).ravel())
        found /= max(np.abs(found).max(), np.finfo(float).tiny)  # some are too large to be squared
        deviation = found.std()
        return (found - found.mean()) / deviation if deviation else found

    return scores


SCALED = ", scaled"
# With the parameters that the package gives as the best for series of one column (`Optimal_Uni_algo_HP_dict`). As they
# are, its detectors' scores serve several series together far worse.
DETECTORS = {
    "moving variance": moving_variance,
    f"moving variance{SCALED}": scaled(moving_variance),
    "squared difference": squared_difference,
    f"squared difference{SCALED}": scaled(squared_difference),
    "Sub-PCA": scaled(sub_pca),
    "POLY": scaled(poly),
    "KMeansAD": scaled(kmeans_ad),
}
# What of each depends on observations that come later: the score itself, or what scales it only.
LATER = {name: "score" if name in ("Sub-PCA", "POLY", "KMeansAD") else "scale" for name in DETECTORS}


def scores(detector, values):
    """The scores of a series, or None where the detector fails on it (of values that never change, for instance)."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            found = np.asarray(DETECTORS[detector](values), float).ravel()
    except Exception as error:  # whatever a package of others raises
        print(f"quality: {detector}: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    return found if len(found) == len(values) else None


def period(values, rank):
    from TSB_AD.utils.slidingWindows import find_length_rank

    return int(find_length_rank(column(values), rank=rank))


def column(values):
    return values.reshape(-1, 1)


@cache
def package():
    """The package's classes, which import what is not installed, and do not use it."""
    # Before an empty module can mislead them.
    import scipy.stats, sklearn.decomposition, statsmodels.api  # noqa: E401,F401

    absent = {name: ModuleType(name) for name in ABSENT if name not in sys.modules}
    for name, module in absent.items():
        setattr(module, ABSENT[name], None)
    sys.modules.update(absent)
    try:
        from TSB_AD.models.KMeansAD import KMeansAD
        from TSB_AD.models.PCA import PCA
        from TSB_AD.models.POLY import POLY
    finally:
        for name in absent:
            del sys.modules[name]  # scipy would take values for PyTorch's if it saw one
    return PCA, POLY, KMeansAD
