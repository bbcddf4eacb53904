#!/usr/bin/env python3
"""Packs the prepared series and their labels, one binary file a set, for the native harness.

That is `guest/core/examples/quality/`, which scores all of them in seconds; `data.rs` there reads what this writes. All
numbers are little-endian:

    set     u32 series, u32 tolerance: rows after the end of an event in which a report still hits it
    series  u32 bytes of the name, u32 rows, u32 columns, u32 window of VUS-PR as score.py takes it, f64 seconds from a row to
            the next as score.py has them, the name, rows x i64 nanoseconds since 1970, columns x rows x f64, rows x u8: 1 is labelled
"""

import argparse
import struct
from pathlib import Path

import numpy as np
from TSB_AD.utils.slidingWindows import find_length_rank

import scorer
import sets
from events import labels
from replay import LONG, SETS, Data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", type=Path, required=True, help="score.py")
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py and scenarios.py made")
    parser.add_argument("--out", type=Path, required=True, help="the folder of packed sets")
    parser.add_argument("sets", nargs="*", default=[sets.SCENARIOS, *sets.REAL, *SETS, LONG], metavar="SET")
    given = parser.parse_args()
    score, data = scorer.load(given.score), Data(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        found = [packed(score, data, one) for one in series(data, name)]
        head = struct.pack("<II", len(found), sets.TOLERANCE.get(name, 0))
        (given.out / f"{name}.bin").write_bytes(head + b"".join(found))
        print(f"{name}: {len(found)} series")


def series(data, name):
    """Of a set with train parts the others."""
    if name in (*SETS, LONG):
        return [sets.Series(name, data.test(name, one), one) for one in data.series(name)]
    return sets.series(data, name)


def packed(score, data, one):
    times, values = one.rows()
    label, seconds = labels(score, data, one)
    if len(label) != len(times):
        raise SystemExit(f"quality: {one.set} {one.stem}: {len(label)} labels for {len(times)} rows")
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
    name = one.stem.encode()
    window = int(find_length_rank(np.nan_to_num(values[:, :1]), rank=1))
    head = struct.pack("<IIIId", len(name), len(times), values.shape[1], window, step) + name
    nanoseconds = np.array(times, dtype="<i8") * 1_000_000_000
    return head + nanoseconds.tobytes() + values.T.astype("<f8").tobytes() + (label > 0).astype("u1").tobytes()


if __name__ == "__main__":
    main()
