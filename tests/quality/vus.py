"""VUS-PR as TSB-AD has it, to the last digits, a thousand times as fast.

`RangeAUC_volume_opt` passes over all rows for each of 250 thresholds and for each width of the buffers around events. Here
rows are sorted once, and a width looks at the rows of the buffers alone. `scorer.py` puts this in the place of TSB-AD's own,
so that score.py calls it, and holds both against each other once in each run.
"""

import numpy as np

THRESHOLDS = 250


def generate_curve(label, score, window, version="opt", thre=THRESHOLDS):
    """In TSB-AD's place: its answer ends in the volume, which is what score.py takes."""
    return None, volume(np.asarray(label) > 0, np.asarray(score, dtype=float), int(window), thre)


def volume(label, score, widest, count=THRESHOLDS):
    """The mean area under precision over recall, where events have buffers of 0 to `widest` rows."""
    descending = np.sort(-score)  # negated
    thresholds = descending[np.linspace(0, len(score) - 1, count).astype(int)]
    # The first threshold that each row reaches, and the rows that reach each one.
    reached = np.searchsorted(thresholds, -score)
    beyond = np.searchsorted(descending, thresholds, side="right")
    edges = np.flatnonzero(np.diff(np.concatenate(([False], label, [False]))))
    events = list(zip(edges[::2], edges[1::2] - 1))
    inside = np.cumsum(np.bincount(reached[label], minlength=count)[:count])
    return float(np.mean([area(label, reached, beyond, events, inside, width) for width in range(widest + 1)]))


def area(label, reached, beyond, events, inside, width):
    half, rows, count = width // 2, len(label), len(beyond)
    weights, earliest, ends = np.zeros(rows), [], -1
    for first, last in events:
        after = np.arange(last + 1, min(last + half + 1, rows))
        before = np.arange(max(first - half, 0), first)
        weights[after] += np.sqrt(1 - (after - last) / max(width, 1))
        weights[before] += np.sqrt(1 - (first - before) / max(width, 1))
        begins = max(first - half, 0)
        soonest = reached[begins : min(last + half, rows - 1) + 1].min()
        if earliest and begins <= ends:
            earliest[-1] = min(earliest[-1], soonest)
        else:
            earliest.append(soonest)
        ends = last + half
    buffer = np.flatnonzero((weights > 0) & ~label)
    weight = np.minimum(weights[buffer], 1)
    around = np.cumsum(np.bincount(reached[buffer], weight, minlength=count)[:count])
    existing = np.cumsum(np.bincount(earliest, minlength=count)[:count]) / len(earliest)
    found = inside + around
    recall = np.minimum(found / (label.sum() + around / 2), 1) * existing
    return float(np.dot(np.diff(recall, prepend=0), found / beyond))
