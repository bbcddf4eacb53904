"""Figures of others, on the same series and with the same scorer."""

from replay import SETS

FOREST = "Isolation Forest (100 × 256)"
LARGEST_Z = "largest z of any column"
# VUS-PR / AUC-PR / event F1 on SMD, ASD and JumpStarter, with scikit-learn, trained on the train part: measured once by
# those who wrote score.py, copied from its README.
RANGES = {
    LARGEST_Z: "0.260 / 0.254 / 0.553, 0.201 / 0.152 / 0.368, 0.124 / 0.112 / 0.473",
    "PCA (90 % of variance), squared error": "0.269 / 0.284 / 0.499, 0.245 / 0.203 / 0.463, 0.178 / 0.172 / 0.692",
    "PCA, Mahalanobis distance in the subspace": "0.253 / 0.261 / 0.580, 0.187 / 0.141 / 0.362, 0.114 / 0.102 / 0.483",
    FOREST: "0.221 / 0.226 / 0.413, 0.250 / 0.233 / 0.484, 0.130 / 0.120 / 0.479",
    "sketch: PCA (10 components), squared error": "0.246 / 0.258 / 0.419, 0.367 / 0.296 / 0.509, 0.190 / 0.175 / 0.740",
    "sketch: the same, inputs clipped at ±5 σ": "0.282 / 0.253 / 0.570, 0.366 / 0.293 / 0.488, 0.198 / 0.189 / 0.690",
    "sketch: the same, mean of the last 10 rows": "0.245 / 0.286 / 0.355, 0.362 / 0.307 / 0.424, 0.244 / 0.262 / 0.703",
    "sketch: each feature's PCA error in units of its own spread, clipped, plus each value's distance to the nearest "
    "training value, mean of 10 rows": "0.190 / 0.268 / 0.288, 0.394 / 0.379 / 0.498, 0.313 / 0.297 / 0.746",
}

# NAB, standard / low FP / low FN: NAB's published scores, but for the sketch, which is by those who wrote score.py.
NAB = {
    "ARTime": "78.2 / 70.4 / 83.1",
    "CAD OSE": "74.1 / 71.7 / 76.9",
    "Numenta HTM": "71.2 / 65.0 / 75.9",
    "AWS Random Cut Forest": "52.0 / 38.3 / 61.0",
    "windowed Gaussian": "36.7 / 21.4 / 45.2",
    "sketch in 60 lines: distance to the nearest value ever seen": "71.8 / 60.4 / 77.7",
}


def cells(what):
    return RANGES[what].split(", ")


def vus(what, name):
    """VUS-PR on a set."""
    return float(cells(what)[SETS.index(name)].split(" / ")[0])
