"""Times scikit-learn's isolation forest for `trained.rs`, which says what to do on standard input, line by line:

    rows N F     then N x F little-endian doubles
    train        fits 100 trees of 256 samples; answers the seconds that it took, the median of three
    score N      scores all rows, N at a time; answers the median of the seconds that a row took
"""

import sys
import time

import numpy
from sklearn.ensemble import IsolationForest

AT_MOST = 3.0  # seconds for one answer


def median(figures):
    return sorted(figures)[len(figures) // 2]


def train(rows):
    times = []
    for seed in range(3):
        began = time.perf_counter()
        forest = IsolationForest(n_estimators=100, max_samples=256, n_jobs=1, random_state=seed).fit(rows)
        times.append(time.perf_counter() - began)
    return forest, median(times)


def score(forest, rows, count):
    times, at, began = [], 0, time.perf_counter()
    while len(times) < 5 or (len(times) < 50 and time.perf_counter() - began < AT_MOST):
        batch = rows[at : at + count]
        start = time.perf_counter()
        forest.score_samples(batch)
        times.append((time.perf_counter() - start) / len(batch))
        at = (at + count) % (len(rows) - count + 1)
    return median(times)


forest = rows = None
source = sys.stdin.buffer
while line := source.readline().split():
    if line[0] == b"rows":
        shape = int(line[1]), int(line[2])
        rows = numpy.frombuffer(source.read(8 * shape[0] * shape[1])).reshape(shape)
        continue
    if line[0] == b"train":
        forest, answer = train(rows)
    else:
        answer = score(forest, rows, int(line[1]))
    print(answer, flush=True)
