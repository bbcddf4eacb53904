"""Series as other programs read them, and the scores that these write.

They read a folder of CSV files without folders in it, header `time,value`, times in UTC with a `Z`, and no empty cells.
From the beginning of a file's name the ones in the folder `rivals` take what is special: `counter` is what only grows,
and `cpu--` has an observation each five minutes, where others have one each minute.
"""

from datetime import datetime, timezone
from math import isnan

import numpy as np

from replay import made
from sets import COUNTERS, SCENARIOS

FIVE_MINUTES = 300


def name(series):
    """The file's name, without `.csv`; scenarios are named that way already."""
    special = series.set != SCENARIOS and series.step() == FIVE_MINUTES
    return ("cpu--" if special else "") + series.flat


def write(series, folder):
    """Writes one series, without the rows that have no value."""
    path = made(folder / series.set / f"{name(series)}.csv")
    if not path.is_file():
        times, values = series.rows()
        rows = zip(times, values[:, 0].tolist())
        lines = (f"{utc(time)},{value!r}\n" for time, value in rows if not isnan(value))
        path.write_text("time,value\n" + "".join(lines))


def utc(time):
    return f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def read(score, series, folder):
    """The scores of one series, a score for each row of its own file; None where there are none."""
    path = folder / series.set / f"{name(series)}.csv"
    if not path.is_file():
        return None
    there = ~np.isnan(series.rows()[1][:, 0])
    found = np.full(len(there), -np.inf)
    found[there] = score.read_scores(path)
    return found


def standardised(series):
    """Its values with a mean of 0 and a deviation of 1; of a counter, those of its growth."""
    values = series.rows()[1][:, 0]
    values = values[~np.isnan(values)]
    if series.stem.startswith(COUNTERS):
        values = np.maximum(np.diff(values, prepend=values[0]), 0)
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation else np.zeros(len(values))
