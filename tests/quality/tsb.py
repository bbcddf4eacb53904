"""Detectors of the TSB-AD package, and two that are one line each, as its users run them: on a whole series at once.

The package's own modules import PyTorch, `hurst` and `arch`, each for detectors that are not used here; empty modules
stand in for them.
"""

import contextlib
import io
import sys
from types import ModuleType

import numpy as np

# Observations in a window of the moving variance.
WINDOW = 10


def moving_variance(values):
    """The variance of the last observations."""
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate((np.full(WINDOW - 1, values[0]), values)), WINDOW)
    return windows.var(axis=1)


def squared_difference(values):
    return np.diff(values, prepend=values[0]) ** 2


def sub_pca(values):
    from TSB_AD.models.PCA import PCA

    return PCA(slidingWindow=period(values, 1), n_components=None).fit(column(values)).decision_scores_


def poly(values):
    from TSB_AD.models.POLY import POLY

    return POLY(power=4, window=period(values, 1)).fit(column(values)).decision_scores_


def kmeans_ad(values):
    from TSB_AD.models.KMeansAD import KMeansAD

    detector = KMeansAD(k=10, window_size=period(values, 2), stride=1)
    detector.model.set_params(random_state=0)
    return detector.fit_predict(column(values))


# With the parameters that the package gives as the best for series of one column (`Optimal_Uni_algo_HP_dict`).
DETECTORS = {
    "moving variance": moving_variance,
    "squared difference": squared_difference,
    "Sub-PCA": sub_pca,
    "POLY": poly,
    "KMeansAD": kmeans_ad,
}
# Those that look at observations that come later.
NOT_CAUSAL = ["Sub-PCA", "POLY", "KMeansAD"]


def scores(detector, values):
    """The scores of a series, or None where the detector fails on it (of values that never change, for instance)."""
    stand_in()
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


def stand_in():
    for name, member in {"torch": "nn", "torch.nn": "nn", "hurst": "compute_Hc", "arch": "arch_model"}.items():
        if name not in sys.modules:
            sys.modules[name] = ModuleType(name)
            setattr(sys.modules[name], member, None)
