"""Compares a window's cost: the component's code, the same natively, and ONNX Runtime on one thread, in one run.

    python3 guest/core/examples/autoencoder.py

Builds `autoencoder.rs` natively and as the components are built (guest/build/src/lib.rs), and runs the latter with the
settings of sandbox/src/settings.rs. Prints medians and least times in microseconds; what a call from Python costs is
subtracted from the module's and from ONNX Runtime's. The three take turns, round by round. From PyPI: numpy, onnx,
onnxruntime, torch, wasmtime.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy
import torch
import wasmtime
from torch import nn

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "guest/core/tests/autoencoder"))
from modules import ConvAutoencoder, RecurrentAutoencoder  # noqa: E402
from operators import Graph, session, start  # noqa: E402

ROWS, FEATURES, ROUNDS, CALLS = 32, 38, 5, 400
TARGET = "wasm32-unknown-unknown"
NETWORKS = ["lstm", "gru", "conv"]
JOBS = NETWORKS + [f"{name}-newest" for name in NETWORKS] + ["nothing"]
# Multiplications of a whole window, each with an addition.
STEP = 38 + 64 + 2 * 64 + 64 + 2 * 64
MULTIPLICATIONS = {
    "lstm": ROWS * (4 * 64 * STEP + 64 * 38),
    "gru": ROWS * (3 * 64 * STEP + 64 * 38),
    "conv": 2 * (16 * 64 * 38 * 5 + 8 * 16 * 64 * 5),
}


def build():
    cargo = ["cargo", "build", "--locked", "--package", "qualm-core", "--example", "autoencoder"]
    subprocess.run([*cargo, "--release"], cwd=ROOT, check=True)
    flags = {"CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS": "-Ctarget-feature=+simd128"}
    subprocess.run([*cargo, "--profile", "guest", "--target", TARGET], cwd=ROOT, check=True, env={**os.environ, **flags})


def module():
    """The module's `main`."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.wasm_relaxed_simd = False
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1 << 32)
    file = ROOT / "target" / TARGET / "guest/examples/autoencoder.wasm"
    main = wasmtime.Instance(store, wasmtime.Module.from_file(engine, str(file)), []).exports(store)["main"]
    return lambda: main(store, 0, 0)


def sessions():
    """What runs each network in ONNX Runtime, and nothing."""
    modules = {
        "lstm": RecurrentAutoencoder(nn.LSTM, FEATURES, 64, 2, 16),
        "gru": RecurrentAutoencoder(nn.GRU, FEATURES, 64, 2, 16),
        "conv": ConvAutoencoder(FEATURES, 64, 2, 16, 5),
    }
    all = {name: session(network, ROWS, FEATURES) for name, network in modules.items()}
    all["nothing"] = start(Graph().model("input", ROWS, FEATURES))
    rows = numpy.random.default_rng(1).standard_normal((1, ROWS, FEATURES), dtype=numpy.float32)
    return {name: lambda one=one: one.run(None, {"input": rows}) for name, one in all.items()}


def seconds(run):
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def main():
    build()
    torch.manual_seed(1)
    call, theirs = module(), sessions()
    native, hashes = {name: [] for name in JOBS}, {}
    times = {("module", name): [] for name in JOBS} | {("onnx", name): [] for name in theirs}
    for _ in range(ROUNDS):
        out = subprocess.run([ROOT / "target/release/examples/autoencoder"], check=True, capture_output=True, text=True)
        for line in out.stdout.splitlines():
            name, median, least, bits = line.split()
            native[name].append((float(median), float(least)))
            hashes[name] = int(bits)
        for _ in range(CALLS):
            for name in JOBS:
                took, bits = seconds(call)
                times["module", name].append(took)
                assert bits == hashes[name], f"{name}: other bits than natively"
        for _ in range(CALLS):
            for name, run in theirs.items():
                times["onnx", name].append(seconds(run)[0])
    for what, of in (("median", statistics.median), ("least", min)):
        def took(kind, name):
            return 1e6 * (of(times[kind, name]) - of(times[kind, "nothing"]))

        print(f"{what:14} {'module':>8} {'native':>8} {'ratio':>6} {'ONNX':>8} {'10⁹ multiplications/s':>24}")
        for name in JOBS[:-1]:
            ours, natively = took("module", name), of([pair[what == "least"] for pair in native[name]])
            line = f"{name:14} {ours:8.1f} {natively:8.1f} {ours / natively:6.2f}"
            if name in theirs:
                rates = [MULTIPLICATIONS[name] / time / 1e3 for time in (ours, natively, took("onnx", name))]
                line += f" {took('onnx', name):8.1f} " + "".join(f"{rate:8.1f}" for rate in rates)
            print(line)


if __name__ == "__main__":
    main()
