"""A picture of labels over their image: the whole at low resolution, and a part at full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from seamlabel.geometry import Box
from seamlabel.kernels.pyramid import sample_index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan

PANEL = 768
"""Side of a panel in pixels."""
DETAIL = 384
"""Voxels that the second panel shows, enlarged."""


def save_overview(path: Path, plan: Plan, source: Source, labels: Any) -> None:
    """Save a PNG of two panels: the whole image, and the surroundings of a tile corner.

    Parameters
    ----------
    path : Path
        Where to.
    plan : Plan
        What was carried out; its tile borders are drawn into the second panel.
    source : Source
        The image at the level that was segmented.
    labels : array-like
        Labels of that level, over the label axes; of more than two, the middle plane is shown.
    """
    height, width = plan.grid.shape[-2:]
    whole = Box((0, 0), (height, width))
    corner = tuple(min(t, n) for t, n in zip(plan.grid.tile_shape[-2:], (height, width), strict=True))
    start = tuple(
        max(0, min(c - DETAIL // 2, n - DETAIL)) for c, n in zip(corner, (height, width), strict=True)
    )
    stop = tuple(min(a + DETAIL, n) for a, n in zip(start, (height, width), strict=True))
    panels = [_panel(plan, source, labels, box) for box in (whole, Box(start, stop))]
    _draw_borders(panels[1], plan, Box(start, stop))
    sheet = Image.new("RGB", (sum(p.width for p in panels) + 16, max(p.height for p in panels)), "white")
    sheet.paste(panels[0], (0, 0))
    sheet.paste(panels[1], (panels[0].width + 16, 0))
    sheet.save(path)


def _panel(plan: Plan, source: Source, labels: Any, box: Box) -> Image.Image:
    scale = PANEL / max(box.shape)
    size = tuple(max(1, round(n * scale)) for n in box.shape)
    rows, columns = (sample_index(n, m) for n, m in zip(box.shape, size, strict=True))
    middle = tuple(n // 2 for n in plan.grid.shape[:-2])
    plane = Box(middle + box.start, tuple(i + 1 for i in middle) + box.stop)
    pixels = source.read(plane)
    pixels = (pixels[0] if plan.channels[1:] else pixels).reshape(box.shape)
    numbers = np.asarray(labels[plane.slices]).reshape(box.shape)
    grey = _stretch(pixels[np.ix_(rows, columns)])
    return Image.fromarray(_coloured(grey, numbers[np.ix_(rows, columns)]))


def _stretch(pixels: NDArray[Any]) -> NDArray[np.float32]:
    low, high = np.percentile(pixels, (1, 99.5))
    stretched: NDArray[np.float32] = np.clip((pixels - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    return stretched


def _coloured(grey: NDArray[np.float32], numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Return RGB: every id a colour of its own, outlines bright, background grey."""
    ids = numbers.astype(np.uint64)
    hue = (ids * np.uint64(2654435761) % np.uint64(1 << 20)).astype(np.float32) / (1 << 20)
    wheel = np.stack([np.abs((hue * 6 + k) % 6 - 3) - 1 for k in (0, 4, 2)], axis=-1)
    colour = 0.35 + 0.65 * np.clip(wheel, 0, 1)
    base = np.repeat(grey[..., None], 3, axis=-1)
    mixed = np.where((numbers > 0)[..., None], (0.35 + 0.65 * base) * colour, 0.6 * base)
    edge = np.zeros(numbers.shape, bool)
    edge[:-1] |= numbers[:-1] != numbers[1:]
    edge[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    mixed[edge] *= 0.55
    return (255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def _draw_borders(panel: Image.Image, plan: Plan, box: Box) -> None:
    draw = ImageDraw.Draw(panel)
    for axis in (0, 1):
        tile, scale = plan.grid.tile_shape[-2 + axis], (panel.height, panel.width)[axis] / box.shape[axis]
        for border in range(-(-box.start[axis] // tile) * tile, box.stop[axis], tile):
            at = (border - box.start[axis]) * scale
            line = [(0, at), (panel.width, at)] if axis == 0 else [(at, 0), (at, panel.height)]
            if border:
                draw.line(line, fill=(255, 255, 255), width=2)
