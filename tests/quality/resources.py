"""What the streaming detector takes, seen from outside the binary: time for each value, memory for each series."""

import json
import random
import sys
from pathlib import Path

from replay import made, run, say

FIELDS = 10
START = 1_700_000_000 * 10**9
MINUTE = 60 * 10**9
NOTHING = "[[detector]]\nname = 'nothing'\nselect = { measurement = 'absent' }\n"

# Rows that come before what is timed, rows that are, and of how many series.
LEARN, ROWS, SERIES = 300, 300, 5_000
# Each row this much farther out than the last.
GROWTH = 1.3
# Times that each is run; the quickest counts.
TIMES = 3

# Runs a program; then prints the seconds of CPU and the KiB that it took. What it is started from counts in the latter,
# and is to be small, hence a program.
USED = """
import os, sys
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
sys.exit("it failed") if status else print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""

# Rows of a series, one each ten minutes, and how many series are set against how many: the fewer, too, fill all
# buffers. The long ones are of three days.
HISTORIES = {"short": (5, 50_000, 250_000), "long": (432, 5_000, 45_000)}


def cost(qualm, work):
    """Nanoseconds that scoring adds to an ordinary value, and to one of a stream that goes farther out row by row."""
    say("what scoring costs")
    files = {what: work / "resources" / f"{what}.lp" for what in ("learnt", "ordinary", "anomalous")}
    nothing = made(work / "resources" / "nothing.toml")
    nothing.write_text(NOTHING)
    write(files["learnt"], SERIES, LEARN)
    write(files["ordinary"], SERIES, LEARN + ROWS)
    write(files["anomalous"], SERIES, LEARN, ROWS)
    added, alarms = {}, {}
    for what, file in files.items():
        scored = [replay(qualm, file) for _ in range(TIMES)]
        passed = [replay(qualm, file, "--config", nothing) for _ in range(TIMES)]
        added[what] = min(one["cpu"] for one in scored) - min(one["cpu"] for one in passed)
        alarms[what] = scored[0]["anomalous"]
        file.unlink()
    lines = SERIES // FIELDS * ROWS
    return {
        what: {
            "ns": 1e9 * (added[what] - added["learnt"]) / (lines * FIELDS),
            "in_alarm": (alarms[what] - alarms["learnt"]) / lines,
        }
        for what in ("ordinary", "anomalous")
    }


def replay(qualm, file, *more):
    """What a replay says of itself; `cpu` are seconds, `peak` is the most memory that it had resident, in bytes."""
    summary, used = run(sys.executable, "-c", USED, qualm, "replay", "--json", "--input", file, *more).splitlines()
    cpu, peak = used.split()
    return {**json.loads(summary), "cpu": float(cpu), "peak": 1024 * int(peak)}


def memory(qualm, work):
    """Bytes that a process takes for each further series, at its peak."""
    found = {}
    for history, (rows, few, many) in HISTORIES.items():
        say(f"what {many} series take, {rows} rows each")
        file = made(work / "resources" / f"{history}.lp")
        peaks = {}
        for series in (few, many):
            write(file, series, rows, step=10 * MINUTE)
            peaks[series] = min(replay(qualm, file)["peak"] for _ in range(2))
        file.unlink()
        found[history] = {"rows": rows, "series": many, "bytes": (peaks[many] - peaks[few]) / (many - few)}
    return found


def write(path, series, rows, farther_out=0, step=MINUTE):
    """Writes line protocol, a row of each series at each step: ordinary ones, then ever farther out."""
    draw = random.Random(1)
    some = [fields(draw.gauss(50, 10) for _ in range(FIELDS)) for _ in range(4096)]
    tags = [f"m,id={number} " for number in range(series // FIELDS)]
    with open(path, "w") as file:
        for row in range(rows + farther_out):
            end = f" {START + row * step}\n"
            if row >= rows:
                size = 1000 * GROWTH ** (row - rows)
                some = [fields([size if row % 2 else -size] * FIELDS)]
            file.writelines(tag + draw.choice(some) + end for tag in tags)


def fields(values):
    return ",".join(f"f{at}={value:.8g}" for at, value in enumerate(values))


def bench(criterion, binary):
    """Nanoseconds a value, 1,000 a batch, if `cargo bench` measured that since the binary was built."""
    group = criterion / "rows of streaming"
    found = {}
    for what in ("native", "component"):
        file = Path(group / f"{what}, 1000 series, 1000 a batch" / "new" / "estimates.json")
        if not file.is_file() or file.stat().st_mtime < binary.stat().st_mtime:
            return None
        found[what] = json.loads(file.read_text())["mean"]["point_estimate"] / 1000
    return found
