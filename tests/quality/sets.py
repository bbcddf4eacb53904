"""The labelled series that have no train part: scored from their first row on, and judged by their events."""

from datetime import datetime, timezone
from statistics import median

import numpy as np

SCENARIOS = "scenarios"
REAL = ["NAB", "CloudMonitoring", "Nezha", "OpsSynth", "Telemanom", "Merlion", "OpenSearch"]
# Its faults often hardly reach the metric that is looked at, and do reach others without a label there.
HARD = "Nezha"
# Rows after the end of an event in which a report still counts as a hit.
TOLERANCE = {SCENARIOS: 10}
# Seeds of the scenarios; the first alone is what others are compared on.
SEEDS, FIRST = ["0", "1"], "0"
# Series whose values only grow, until they begin anew.
COUNTERS = ("counter", "bytes_out")


class Series:
    """One series: its set, its name within, and its file."""

    def __init__(self, name, path, stem):
        self.set, self.path, self.stem = name, path, stem

    @property
    def flat(self):
        """Its name without folders."""
        return self.stem.replace("/", "~")

    @property
    def parts(self):
        """Of a scenario: the kind of metric, the kind of incident, and the seed."""
        return self.stem.split("--")

    def rows(self):
        """Times in seconds since 1970, and the values of each column; NaN where a cell is empty."""
        with open(self.path) as file:
            lines = file.read().splitlines()[1:]
        cells = [line.split(",") for line in lines]
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in cells])
        return [seconds(row[0]) for row in cells], values

    def step(self):
        """The usual seconds from a row to the next."""
        with open(self.path) as file:
            times = [seconds(line.split(",")[0]) for line, _ in zip(file, range(1000)) if line[0].isdigit()]
        return median(b - a for a, b in zip(times, times[1:]))

    def columns(self):
        with open(self.path) as file:
            return file.readline().count(",")


def seconds(text):
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())


def series(data, name):
    """All series of a set."""
    folder = data.folder / name
    paths = sorted(folder.rglob("*.csv"))
    found = [Series(name, path, str(path.relative_to(folder).with_suffix(""))) for path in paths]
    return [one for one in found if name != SCENARIOS or one.parts[2] in SEEDS]


def compared(data):
    """What others are compared on: series of one column, and of the scenarios the first seed."""
    for name in [SCENARIOS, *REAL]:
        found = [one for one in series(data, name) if one.columns() == 1]
        if found := [one for one in found if name != SCENARIOS or one.parts[2] == FIRST]:
            yield name, found
