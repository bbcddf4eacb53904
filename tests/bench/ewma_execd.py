"""An execd processor as one would write it in Python: an EWMA z-score per field, the largest as `anomaly_score`.

This is what qualm is measured against, so it is written to be quick: bytes throughout, one dictionary look-up per
field, large buffers, no regular expressions. Lines with quotes or escapes would need a real parser; they pass as they
are, which is in its favour.
"""

import os
import sys

ALPHA = 0.01
WARM_UP = 30
THRESHOLD = 4.0
# As much as a pipe holds: more would come no sooner.
BUFFER = 1 << 16


def main():
    series = {}
    with open(sys.stdin.fileno(), "rb", BUFFER) as lines, open(sys.stdout.fileno(), "wb", BUFFER) as out:
        # A stream that a reader waits for is flushed each line; for throughput, when the buffer is full.
        live = os.environ.get("EWMA_FLUSH") == "line"
        write = out.write
        for line in lines:
            write(score(line, series))
            if live:
                out.flush()


def score(line, series):
    if b'"' in line or b"\\" in line or line.startswith(b"#"):
        return line
    parts = line.split()
    if len(parts) != 3:
        return line
    head, fields, time = parts
    known = series.get(head)
    if known is None:
        known = series[head] = {}
    largest = -1.0
    for field in fields.split(b","):
        key, _, text = field.partition(b"=")
        try:
            value = float(text)
        except ValueError:
            # An integer with its suffix, a boolean, or nothing that has a score.
            if text[-1:] not in (b"i", b"u"):
                continue
            value = float(text[:-1])
        state = known.get(key)
        if state is None:
            known[key] = [value, 0.0, 1]
            continue
        mean, variance, count = state
        deviation = value - mean
        if count >= WARM_UP and variance > 0.0:
            z = abs(deviation) / variance**0.5
            if z > largest:
                largest = z
        step = ALPHA * deviation
        state[0] = mean + step
        state[1] = (1.0 - ALPHA) * (variance + deviation * step)
        state[2] = count + 1
    if largest < 0.0:
        return line
    largest /= THRESHOLD
    return b"%b %b,anomaly_score=%.4f,is_anomaly=%di %b\n" % (head, fields, largest, largest > 1.0, time)


if __name__ == "__main__":
    main()
