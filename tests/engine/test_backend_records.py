"""What a backend's record and parameters ask of the engine: alignment, one segmenter for all, model files."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel import Backend, register
from seamlabel.errors import BackendError, OutputError
from seamlabel.events import TileDone
from seamlabel.io.sources import image_info
from seamlabel.testing.partition import same_partition

MADE = []


@dataclass(frozen=True)
class ModelParams:
    model: str = ""

    @property
    def files(self):
        return (self.model,) if self.model else ()


@dataclass(frozen=True)
class AlignedParams:
    align = (16, 8)


def make(params, context):
    MADE.append(threading.get_ident())
    return lambda tile: ndimage.label(tile > 2000, np.ones((3, 3)))[0]


@pytest.fixture(autouse=True)
def records():
    MADE.clear()
    for name, params, shared in [("own", "ModelParams", False), ("shared", "ModelParams", True)]:
        register(Backend(name, name, f"{__name__}:{params}", f"{__name__}:make", shared=shared))
    register(Backend("aligned", "aligned", f"{__name__}:AlignedParams", f"{__name__}:make"))
    yield
    for name in ("own", "shared", "aligned"):
        del seamlabel.registry._registry[name]


def test_read_boxes_start_at_multiples_of_what_the_method_needs(image):
    spec = seamlabel.RunSpec(image=image, backend="aligned", tile_shape=50, overlap=11)
    grid = seamlabel.resolve(spec, image_info(image)).grid
    starts = np.array([tile.read.start for tile in grid])
    assert len(grid) == 36
    assert not (starts % (16, 8)).any()
    cores = np.array([tile.core.start for tile in grid])
    assert (cores - starts >= np.minimum(cores, 11)).all(), "no tile reads less than the overlap"


def test_aligned_tiles_of_any_shape_give_the_labels_of_the_whole_image(image, pixels):
    whole = make(None, None)(pixels)
    for tile_shape in (50, 64, 61):
        result = seamlabel.segment(
            image, "aligned", tile_shape=tile_shape, overlap=11, overwrite=True, progress=False
        )
        assert same_partition(whole, result.labels)


def test_a_method_with_a_large_network_is_made_once_for_all_threads(image):
    asked = {"tile_shape": 60, "overlap": 8, "executor": "threads", "workers": 3, "progress": False}
    seamlabel.segment(image, "shared", **asked)
    assert len(MADE) == 1
    seamlabel.segment(image, "own", name="own", **asked)
    assert len(MADE) > 2


def stop_after(tiles):
    done = []

    def listen(event):
        done.extend([event] * isinstance(event, TileDone))
        if len(done) == tiles:
            raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize("folder", [False, True])
def test_a_run_does_not_go_on_with_another_model(image, tmp_path, folder):
    path = tmp_path / "model"
    file = path / "weights.bin" if folder else path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"one")
    asked = {"params": {"model": str(path)}, "tile_shape": 60, "overlap": 8, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, "shared", on_event=stop_after(4), **asked)
    file.write_bytes(b"two")
    with pytest.raises(OutputError, match="the model is another one"):
        seamlabel.segment(image, "shared", **asked)
    file.write_bytes(b"one")
    assert seamlabel.segment(image, "shared", **asked).n_objects > 10


def test_a_model_that_is_not_there_is_told_before_any_work(image, tmp_path):
    with pytest.raises(BackendError, match="cannot be read"):
        seamlabel.segment(image, "shared", params={"model": str(tmp_path / "none")}, progress=False)
