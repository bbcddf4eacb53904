#!/usr/bin/env python3
"""cut.py OMNIANOMALY: cuts server.csv and labels.csv from a clone of github.com/NetManAIOps/OmniAnomaly.

Which machine and which days follows from the labels alone; no detector is asked. See README.md.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path

DAY = 1440  # rows: the set has one a minute
DAYS = 2
START = datetime(2024, 1, 1)  # invented: the set tells no times


def incidents(labels):
    """The labelled stretches, as (first row, row behind the last)."""
    edges = [row for row in range(len(labels) + 1) if label(labels, row) != label(labels, row - 1)]
    return list(zip(edges[::2], edges[1::2]))


def label(labels, row):
    return labels[row] if 0 <= row < len(labels) else 0


def median_machine(data):
    """The machine whose share of labelled rows is the median one; of two in the middle, the larger."""
    labels = {path.stem: [int(line) for line in path.read_text().split()] for path in (data / "test_label").iterdir()}
    ranked = sorted(labels, key=lambda machine: sum(labels[machine]) / len(labels[machine]))
    machine = ranked[len(ranked) // 2]
    return machine, labels[machine]


def fullest_days(found, rows):
    """The first row of those whole days that hold the most whole incidents; the first such days, if several do."""
    def held(start):
        return sum(start <= first and end <= start + DAYS * DAY for first, end in found)

    return max(range(0, rows - DAYS * DAY + 1, DAY), key=held)


def metrics(data, machine):
    """For each labelled stretch, by its first row, the metrics that those who labelled it hold to be part of it."""
    told = {}
    for line in (data / "interpretation_label" / f"{machine}.txt").read_text().split():
        rows, numbers = line.split(":")
        told[int(rows.split("-")[0])] = [int(number) - 1 for number in numbers.split(",")]  # there they count from 1
    return told


def clock(row):
    return (START + timedelta(minutes=row)).isoformat() + "Z"


def number(text):
    """Without trailing zeros; no digit that says something is lost."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def main():
    data = Path(sys.argv[1]) / "ServerMachineDataset"
    here = Path(__file__).resolve().parent
    machine, labels = median_machine(data)
    found = incidents(labels)
    start = fullest_days(found, len(labels))
    end = start + DAYS * DAY
    rows = [line.split(",") for line in (data / "test" / f"{machine}.txt").read_text().split()[start:end]]
    varying = [column for column in range(len(rows[0])) if len({row[column] for row in rows}) > 1]

    with open(here / "server.csv", "w") as out:
        print("time", *(f"m{column:02}" for column in varying), sep=",", file=out)
        for at, row in enumerate(rows):
            print(clock(at), *(number(row[column]) for column in varying), sep=",", file=out)

    told = metrics(data, machine)
    with open(here / "labels.csv", "w") as out:
        print("start", "end", "metrics", sep=",", file=out)
        for first, behind in found:
            if start <= first and behind <= end:
                names = " ".join(f"m{column:02}" for column in told.get(first, []) if column in varying)
                print(clock(first - start), clock(behind - start), names, sep=",", file=out)

    print(f"{machine}, rows {start} to {end - 1} of its test part, {len(varying)} of {len(rows[0])} metrics vary")


if __name__ == "__main__":
    main()
