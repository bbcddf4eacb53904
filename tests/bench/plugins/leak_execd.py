"""The plugin `leak` as a processor of Telegraf's in plain CPython: the same file, with stand-ins for what it imports.

It scores all lines that have come, and writes them back; so do programs that take care not to hold metrics up.
"""

import os
import sys
import types
from pathlib import Path

RECORDS = ("Description", "Error_BadModel", "Error_BadShape", "Error_BadState", "Verdicts")
STAND_INS = {
    "componentize_py_types": {"Err": type("Err", (Exception,), {})},
    "wit_world": {},
    "wit_world.exports": {},
    "wit_world.exports.detection": {name: lambda *fields: fields for name in RECORDS} | {"Detector": object},
    "wit_world.imports": {"log": None},
}
for name, members in STAND_INS.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)
sys.modules["wit_world.exports"].detection = sys.modules["wit_world.exports.detection"]
sys.path.insert(0, str(Path(__file__).parents[3] / "plugins" / "leak"))

from detection import Detector  # noqa: E402


def main():
    detector, numbers, rest = Detector.open(b"{}"), {}, b""
    while piece := os.read(0, 1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        parts, series, times, values = [], [], [], []
        for line in lines:
            head, fields, time = line.split(b" ")
            for field in fields.split(b","):
                key, _, value = field.partition(b"=")
                series.append(numbers.setdefault((head, key), len(numbers)))
                times.append(int(time))
                values.append(float(value))
            parts.append((head, fields, time))
        batch = types.SimpleNamespace(series=series, timestamps=times, values=values)
        scores, _ = detector.observe(batch, False)
        out = []
        for (head, fields, time), score in zip(parts, scores):  # one field a line, in this benchmark
            verdict = b"" if score != score else b",anomaly_score=%.4f,is_anomaly=%di" % (score, score > 1)
            out.append(b"%b %b%b %b\n" % (head, fields, verdict, time))
        os.write(1, b"".join(out))


main()
