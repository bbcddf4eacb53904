"""Writes pytorch.safetensors: what PyTorch makes of small networks, for the test in ../src/network/mod.rs.

With torch 2.15 and safetensors 0.8: python pytorch.py pytorch.safetensors
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn

FEATURES, WINDOW, HIDDEN, LAYERS, BOTTLENECK, KERNEL, BATCH = 3, 8, 4, 2, 2, 3, 5


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.encoder = cell(FEATURES, HIDDEN, num_layers=LAYERS, batch_first=True)
        self.bottleneck = nn.Linear(HIDDEN, BOTTLENECK)
        self.expand = nn.Linear(BOTTLENECK, HIDDEN)
        self.decoder = cell(HIDDEN, HIDDEN, num_layers=LAYERS, batch_first=True)
        self.output = nn.Linear(HIDDEN, FEATURES)

    def forward(self, x):
        code = self.expand(self.bottleneck(self.encoder(x)[0][:, -1]))
        return self.output(self.decoder(code.unsqueeze(1).expand(-1, x.shape[1], -1))[0])


class Convolution(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [FEATURES] + [HIDDEN] * (LAYERS - 1) + [BOTTLENECK]
        pairs = list(zip(widths, widths[1:]))
        pad = KERNEL // 2
        self.encoder = nn.ModuleList(nn.Conv1d(a, b, KERNEL, stride=2, padding=pad) for a, b in pairs)
        self.decoder = nn.ModuleList(
            nn.ConvTranspose1d(b, a, KERNEL, stride=2, padding=pad, output_padding=1) for a, b in reversed(pairs)
        )

    def forward(self, x):
        x = x.transpose(1, 2)
        for layers in (self.encoder, self.decoder):
            for layer in layers:
                x = layer(x) if layer is layers[-1] else layer(x).relu()
        return x.transpose(1, 2)


torch.manual_seed(1)
x = torch.randn(BATCH, WINDOW, FEATURES)
known = torch.rand(BATCH, WINDOW, FEATURES) > 0.2
x *= known
tensors = {"x": x.flatten(), "known": known.float().flatten()}
for name, network in [
    ("lstm", Recurrent(nn.LSTM)),
    ("gru", Recurrent(nn.GRU)),
    ("conv", Convolution()),
]:
    for order in ("forward", "reversed"):
        target, mask = (x, known) if order == "forward" else (x.flip(1), known.flip(1))
        network.zero_grad()
        error = (nn.functional.smooth_l1_loss(network(x), target, reduction="none") * mask).sum()
        error.backward()
        tensors[f"{name}.{order}.error"] = error.detach()[None]
        for of, parameter in network.named_parameters():
            tensors[f"{name}.{order}.gradient.{of}"] = parameter.grad.clone()
            tensors[f"{name}.weight.{of}"] = parameter.detach()
save_file(tensors, sys.argv[1])
