"""Writes the fixtures of `tests/autoencoder.rs`: what ONNX Runtime reconstructs.

Each case is a network of `modules.py`. Those with `saved` are written as anyone saves a module of PyTorch's, with the
weights that PyTorch initialises it with; the others have weights by a rule that the test follows too, so that large ones
need no file. Windows are by the rule as well. PyTorch's own output must agree. From PyPI: numpy, onnx, onnxruntime,
safetensors, torch.
"""

import json
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from torch import nn

from modules import ConvAutoencoder, RecurrentAutoencoder
from operators import session

HERE = Path(__file__).parent
WINDOW = 1000  # what stands for a window where the rule wants a tensor's number

CASES = [
    # network, features, window, hidden, layers, bottleneck, kernel, saved
    ("lstm", 3, 7, 5, 2, 3, 0, True),
    ("lstm", 1, 2, 1, 1, 1, 0, False),
    ("lstm", 38, 32, 64, 2, 16, 0, False),
    ("lstm", 3, 20, 64, 3, 5, 0, False),
    ("gru", 3, 7, 5, 2, 3, 0, True),
    ("gru", 1, 9, 12, 3, 20, 0, False),
    ("gru", 38, 32, 64, 2, 16, 0, False),
    ("conv", 3, 8, 5, 2, 3, 3, True),
    ("conv", 1, 2, 5, 1, 1, 1, False),
    ("conv", 3, 16, 5, 3, 2, 7, False),
    ("conv", 38, 24, 64, 3, 5, 1, False),
    ("conv", 38, 32, 64, 2, 16, 5, False),
]


def rule(number, count, limit):
    """Numbers between ±limit for a tensor's number: the finaliser of MurmurHash3."""
    x = numpy.arange(1, count + 1, dtype=numpy.uint32) * numpy.uint32(2654435761) + numpy.uint32(number * 40503)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = (x ^ (x >> numpy.uint32(shift))) * numpy.uint32(factor)
    return ((x / 2.0**31 - 1.0) * limit).astype(numpy.float32)


def main():
    torch.manual_seed(1)
    cases = []
    for network, features, window, hidden, layers, bottleneck, kernel, saved in CASES:
        if network == "conv":
            module = ConvAutoencoder(features, hidden, layers, bottleneck, kernel)
        else:
            module = RecurrentAutoencoder(getattr(nn, network.upper()), features, hidden, layers, bottleneck)
        if saved:
            save_file(module.state_dict(), HERE / f"{network}.safetensors")
        else:
            for number, tensor in enumerate(module.state_dict().values()):
                # As PyTorch initialises: the larger the fewer weights a sum has.
                limit = 1.0 / numpy.sqrt(tensor[0].numel() if tensor.ndim > 1 else hidden)
                tensor.copy_(torch.from_numpy(rule(number, tensor.numel(), limit)).reshape(tensor.shape))
        rows = rule(WINDOW, window * features, 3.0).reshape(1, window, features)
        output = session(module, window, features).run(None, {"input": rows})[0]
        theirs = module(torch.from_numpy(rows)).detach().numpy()
        assert numpy.abs(output - theirs).max() < 2e-6, (network, numpy.abs(output - theirs).max())
        cases.append(
            {
                "network": network,
                "features": features,
                "window": window,
                "hidden": hidden,
                "layers": layers,
                "bottleneck": bottleneck,
                "kernel": kernel,
                "saved": saved,
                "output": [float(f"{number:.8g}") for number in output.ravel()],
            }
        )
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
