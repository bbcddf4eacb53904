"""The autoencoders in PyTorch, whose `state_dict()` names and lays out the tensors of a model.

`safetensors.torch.save_file(module.state_dict(), path)` writes what `qualm_core::autoencoder` reads. All take and give
(batch, window, features); a window's rows go from the oldest to the newest.
"""

import torch
from torch import nn


class RecurrentAutoencoder(nn.Module):
    """Stacked LSTM or GRU layers (`cell` is `nn.LSTM` or `nn.GRU`) that reduce a window to a code, and as many back.

    Row 0 of the output is the oldest row, or the newest where a model's `order` is `reversed` (Malhotra et al. 2016).
    """

    def __init__(self, cell, features, hidden, layers, bottleneck, dropout=0.0):
        super().__init__()
        self.encoder = cell(features, hidden, num_layers=layers, dropout=dropout, batch_first=True)
        self.bottleneck = nn.Linear(hidden, bottleneck)
        self.expand = nn.Linear(bottleneck, hidden)
        self.decoder = cell(hidden, hidden, num_layers=layers, dropout=dropout, batch_first=True)
        self.output = nn.Linear(hidden, features)

    def forward(self, x):
        last = self.encoder(x)[0][:, -1]
        code = self.expand(self.bottleneck(last))
        decoded, _ = self.decoder(code.unsqueeze(1).expand(-1, x.shape[1], -1))
        return self.output(decoded)


class ConvAutoencoder(nn.Module):
    """Convolutions over time with stride 2, and transposed ones back.

    `kernel` is odd, and a window has a multiple of 2**layers rows.
    """

    def __init__(self, features, hidden, layers, bottleneck, kernel, dropout=0.0):
        super().__init__()
        widths = [features] + [hidden] * (layers - 1) + [bottleneck]
        pairs = list(zip(widths, widths[1:]))
        like = {"kernel_size": kernel, "stride": 2, "padding": kernel // 2}
        self.encoder = nn.ModuleList(nn.Conv1d(a, b, **like) for a, b in pairs)
        self.decoder = nn.ModuleList(
            nn.ConvTranspose1d(b, a, output_padding=1, **like) for a, b in reversed(pairs)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x.transpose(1, 2)
        for layers in (self.encoder, self.decoder):
            for layer in layers[:-1]:
                x = self.dropout(torch.relu(layer(x)))
            x = layers[-1](x)
        return x.transpose(1, 2)
