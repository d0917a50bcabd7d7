"""Tiles of a backend: aligned as it says, of pixels that there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from seamlabel import registry
from seamlabel.blended import blend
from seamlabel.cli import main
from seamlabel.io.ngff.images import write_image

PIXELS = np.arange(100 * 70, dtype=np.uint16).reshape(100, 70)


@dataclass(frozen=True)
class Pooling:
    """Parameters of a network that pools."""

    align = 16


@pytest.fixture
def seen(monkeypatch):
    """The tiles that a backend is given."""
    tiles = []

    def look(tile):
        tiles.append(tile)
        return tile.astype(np.float32)

    monkeypatch.setattr(registry, "_registry", {})
    made = {"params": Pooling, "factory": lambda params, context: None}
    registry.register(registry.Backend(name="look", title="Look", maps=lambda *_: look, **made))
    return tiles


def test_a_backend_is_given_pixels_of_the_image_alone_from_multiples_of_its_alignment_on(seen):
    found = blend(PIXELS, "look", tile_shape=32, overlap=16)
    assert np.array_equal(found.values, PIXELS)
    for tile in seen:
        y, x = divmod(int(tile[0, 0]), 70)
        assert (y % 16, x % 16) == (0, 0)
        assert np.array_equal(tile, PIXELS[y : y + len(tile), x : x + tile.shape[1]])
    assert {tile.shape for tile in seen} >= {(64, 64), (64, 38)}


def test_an_edge_that_is_asked_for_goes_before(seen):
    blend(PIXELS, "look", tile_shape=32, overlap=16, edge="snap")
    assert {tile.shape for tile in seen} == {(64, 64)}


def test_tiles_of_a_function_are_all_of_one_shape():
    shapes = set()

    def look(tile):
        shapes.add(tile.shape)
        return tile.astype(np.float32)

    blend(PIXELS, look, tile_shape=32, overlap=16, align=16)
    assert shapes == {(64, 64)}


def test_the_command_line_gives_a_backend_the_same_tiles(seen, tmp_path):
    write_image(tmp_path / "image.zarr", PIXELS.shape, "uint16", lambda box: PIXELS[box.slices], axes="yx")
    ask = ["--backend", "look", "--tile", "32", "--overlap", "16", "--quiet"]
    assert main(["blend", str(tmp_path / "image.zarr"), str(tmp_path / "map.zarr"), *ask]) == 0
    assert {tile.shape for tile in seen} >= {(64, 64), (64, 38)}
