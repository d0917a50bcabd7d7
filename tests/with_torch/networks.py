"""Small networks of known reach. Their weights are set, not trained: what they answer is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from seamlabel.testing.cells import Tissue


class Unet(nn.Module):
    """A U-Net with two poolings that finds what is bright; it sees no further than `reach` voxels.

    The first path keeps the blurred pixels, the deep one adds what lies around; three output channels:
    logits of background (always 0), of foreground and of a boundary.
    """

    reach = 24

    def __init__(self, ndim=2, channels=1):
        super().__init__()
        conv, self.pool = (nn.Conv2d, nn.MaxPool2d(2)) if ndim == 2 else (nn.Conv3d, nn.MaxPool3d(2))
        self.up = nn.Upsample(scale_factor=2)
        torch.manual_seed(0)
        self.first = conv(channels, 4, 3, padding=1)
        self.second, self.third = conv(4, 4, 3, padding=1), conv(4, 4, 3, padding=1)
        self.back, self.out = conv(8, 4, 3, padding=1), conv(8, 3, 1)
        with torch.no_grad():
            for part in (self.first, self.second, self.third, self.back):
                part.weight.abs_()
                part.weight /= part.weight.sum(dim=tuple(range(1, part.weight.ndim)), keepdim=True)
                part.bias.zero_()
            self.out.weight.zero_()
            self.out.weight[1, :4], self.out.weight[1, 4:] = 10, -5
            self.out.weight[2, :4], self.out.weight[2, 4:] = -10, 10
            self.out.bias.copy_(torch.tensor([0.0, -4.0, -2.0]))

    def forward(self, x):
        top = torch.relu(self.first(x))
        middle = torch.relu(self.second(self.pool(top)))
        deep = torch.relu(self.third(self.pool(middle)))
        return self.out(
            torch.cat([top, self.up(torch.relu(self.back(torch.cat([middle, self.up(deep)], 1))))], 1)
        )


def unet():
    return Unet()


def two_channels():
    return Unet(channels=2)


def broken():
    raise KeyError("depth")


def number():
    return 3


class Blur(nn.Module):
    """One blurring convolution: probability of foreground, as of pixels that are scaled to 0 and 1."""

    def __init__(self, ndim=2):
        super().__init__()
        conv = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.conv = conv(1, 1, 5, padding=2)
        with torch.no_grad():
            self.conv.weight.fill_(1 / 5**ndim)
            self.conv.bias.zero_()

    def forward(self, x):
        return torch.clamp(self.conv(x), 0, 1)


def script(net, path, ndim=2, channels=1):
    """Save a network as TorchScript; return where."""
    torch.jit.trace(net.eval(), torch.zeros(1, channels, *(64,) * ndim)).save(path)
    return str(path)


def tissue(shape=(600, 700), seed=3):
    return Tissue(shape, "sparse", diameter=24, seed=seed).image()


def scaled(image, low, high):
    lo, hi = (np.float32(np.percentile(image, q)) for q in (low, high))
    return (image.astype(np.float32) - lo) / (hi - lo)
