"""What the channels of a map are called: as asked, as the backend calls them, or by number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from seamlabel import registry
from seamlabel.blended import blend
from seamlabel.errors import SpecError
from seamlabel.io.sources import image_info

PIXELS = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


class Edges:
    outputs = ("down", "across")

    def __call__(self, tile):
        return np.stack([tile, 2 * tile]).astype(np.float32)


@pytest.fixture(autouse=True)
def edges(monkeypatch):
    monkeypatch.setattr(registry, "_registry", {})
    made = {"params": Nothing, "factory": lambda params, context: None}
    registry.register(
        registry.Backend(name="edges", title="Edges", maps=lambda params, context: Edges(), **made)
    )


def names(out, model="edges", **wishes):
    blend(PIXELS, model, tile_shape=32, overlap=4, output=out, **wishes)
    return image_info(out).channels


def test_channels_are_called_as_the_backend_calls_its_outputs(tmp_path):
    assert names(tmp_path / "a.zarr", stats=("mean", "disagreement")) == ("down", "across")
    assert image_info(tmp_path / "a-disagreement.zarr").channels == ("down", "across")


def test_names_that_were_asked_for_go_before_those_of_the_backend(tmp_path):
    assert names(tmp_path / "a.zarr", outputs=("one", "two")) == ("one", "two")
    with pytest.raises(SpecError, match="3 names, 2 channels"):
        names(tmp_path / "b.zarr", outputs=("one", "two", "three"))


def test_channels_that_finalize_made_have_none_of_the_outputs_names(tmp_path):
    def thirds(block):
        return np.concatenate([block, block[:1]])

    with pytest.raises(SpecError, match="2 names, 3 channels"):
        names(tmp_path / "a.zarr", outputs=("one", "two"), finalize=thirds)
    made = names(tmp_path / "b.zarr", finalize=thirds, stats=("mean", "disagreement"))
    assert made == ("output 0", "output 1", "output 2")
    assert image_info(tmp_path / "b-disagreement.zarr").channels == ("down", "across")


def test_a_function_of_your_own_has_numbers(tmp_path):
    assert names(tmp_path / "a.zarr", Edges()) == ("output 0", "output 1")
