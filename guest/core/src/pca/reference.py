"""Writes reference.txt: what NumPy and scikit-learn make of the rows that the tests of this folder learn from and score.

Run as `python3 reference.py > reference.txt` (NumPy 2.4, scikit-learn 1.9). Everything is written out here once more,
the plain way; nothing of the Rust code is used. A line is a name, a colon and numbers, matrices row after row.
"""

import numpy as np
from sklearn.covariance import ledoit_wolf

random = np.random.default_rng(20240917)
# Coarse numbers keep the file short and mean the same to everyone who reads them.
coarse = lambda x: np.round(x, 3)
LEAST, NORMAL = 0.05, 1.959963984540054


def say(name, numbers):
    print(name + ": " + " ".join(repr(float(x)) for x in np.ravel(numbers)))


def covariance(name, rows):
    say(f"{name} rows", rows)
    say(f"{name} mean", rows.mean(axis=0))
    say(f"{name} covariance", np.cov(rows.T, bias=True))
    say(f"{name} shrinkage", ledoit_wolf(rows)[1])


def learn(rows, clip, shrinkage, components):
    """Mean, covariance as it is shrunk, its eigenvalues, loadings (components × features)."""
    rows = np.clip(rows, -clip, clip)
    if shrinkage == "auto":
        shrunk, _ = ledoit_wolf(rows)
    else:
        plain = np.cov(rows.T, bias=True)
        shrunk = (1 - shrinkage) * plain + shrinkage * np.trace(plain) / len(plain) * np.eye(len(plain))
    values, vectors = np.linalg.eigh(shrunk)
    values, vectors = values[::-1], vectors[:, ::-1]
    if components < 1:
        components = int(np.searchsorted(np.cumsum(values) / values.sum(), components) + 1)
    return rows.mean(axis=0), values, vectors.T, components, np.sqrt(np.trace(shrunk) / len(shrunk))


def forms(train, rows, index, clip=20.0, learning_clip=5.0, shrinkage="auto", components=0.9, weighted=False, error_clip=np.inf):
    """raw², and what each feature has of it."""
    mean, values, vectors, k, unit = learn(train, min(clip, learning_clip), shrinkage, components)
    P, left_out = vectors[:k], vectors[k:]
    left_values = np.maximum(values[k:], (LEAST * unit) ** 2)

    def parts(x):
        z = np.clip(x, -clip, clip) - mean
        t = z @ P.T
        return t / np.sqrt(values[:k]), z - t @ P

    def errors(r):
        return np.minimum((r / spread) ** 2, error_clip**2)

    t, r = parts(train)
    spread = np.maximum(np.quantile(np.abs(r), 0.95, axis=0) / NORMAL, LEAST * unit) if weighted else np.ones(len(mean))
    by_distance, by_error = float(index == "distance"), float(index == "error")
    if index == "combined":
        expected = sum(value * np.sum((vector / spread) ** 2) for value, vector in zip(left_values, left_out))
        by_distance = 1 / max(np.quantile(np.sum(t**2, axis=1), 0.95), k)
        by_error = 1 / max(np.quantile(np.sum(errors(r), axis=1), 0.95), expected)
    t, r = parts(rows)
    contributions = by_distance * (t @ P) ** 2 + by_error * errors(r)
    form = by_distance * np.sum(t**2, axis=1) + by_error * np.sum(errors(r), axis=1)
    assert np.allclose(contributions.sum(axis=1), form)
    return form, contributions


covariance("wide", coarse(random.normal(size=(7, 12))))
covariance("long", coarse(random.normal(size=(90, 4)) @ random.normal(size=(4, 4)) + [0, 1, -100, 0]))

# Six features on two causes; the fifth is twice the first, the sixth never moves. Some rows lie far out.
causes = random.normal(size=(150, 2))
train = causes @ random.normal(size=(2, 4)) + 0.3 * random.normal(size=(150, 4))
train = coarse(train / train.std(axis=0))
train[40] *= 6
train = np.column_stack([train, 2 * train[:, 0], np.full(150, 0.25)])
covariance("train", train)

rows = train[::13].copy()
rows[1, 0] = 40.0
rows[2, 5] = 1.25
rows[3, 1] = -rows[3, 1] - 1
rows[4] *= 3
rows[5] = coarse(random.normal(size=6))
say("rows", rows)

# The names are those of the cases in tests.rs.
for name, how in {
    "default": dict(index="combined"),
    "distance": dict(index="distance", clip=1e12, learning_clip=1e12, shrinkage=0.0, components=2),
    "full distance": dict(index="distance", clip=10.0, learning_clip=1e12, shrinkage=0.1, components=6),
    "error": dict(index="error", clip=1e12, components=1),
    "weighted": dict(index="combined", clip=10.0, components=2, weighted=True, error_clip=4.0),
    "weighted error": dict(index="error", clip=3.0, weighted=True),
}.items():
    form, contributions = forms(train, rows, **how)
    say(f"{name} raw", np.sqrt(form))
    say(f"{name} contributions", contributions)
