"""`blend` that is refused, stopped, or goes on: what it leaves behind."""

from __future__ import annotations

import json
import shutil
import threading
import time

import numpy as np
import pytest
from tests.blending.test_blended import PIXELS, blur

from seamlabel.blended import blend
from seamlabel.errors import OutputError
from seamlabel.io.maps import MapWriter
from seamlabel.io.ngff.model import open_image


def test_what_does_not_fit_leaves_nothing_behind_and_locks_nothing(tmp_path):
    ask = {"tile_shape": 64, "overlap": 8, "output": tmp_path / "m.zarr"}
    for wrong in ({"weights": np.ones((3, 3))}, {"stats": "variance"}, {"edge": "drop"}, {"finalize": "max"}):
        with pytest.raises(ValueError, match=r"weights|stats|no patch|finalize"):
            blend(PIXELS, blur, **ask, **wrong)
    (tmp_path / "m-sigma.zarr").write_text("something else")
    with pytest.raises(OutputError, match="not a zarr group"):
        blend(PIXELS, blur, **ask, stats=("mean", "sigma"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m-sigma.zarr"]
    assert blend(PIXELS, blur, **ask, stats="mean").path == str(tmp_path / "m.zarr")


def test_nothing_is_written_after_a_run_was_stopped(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    def slow(tile):
        time.sleep(0.02)
        return tile

    with pytest.raises(KeyboardInterrupt) as stopped:
        blend(PIXELS, slow, tile_shape=32, overlap=2, workers=2, output=tmp_path / "m.zarr", on_tile=stop)
    assert stopped.tb is not None  # what is raised keeps all that it passed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("seamlabel-blend")]


def test_a_map_goes_on_for_the_same_weights_only(tmp_path):
    ask = {"tile_shape": 64, "overlap": 8, "output": tmp_path / "m.zarr"}

    def stop(done, total):
        raise KeyboardInterrupt

    def window(power):
        return lambda length: np.hanning(length) ** power

    def middle(weight):
        out = np.ones((80, 80), np.float32)
        out[20:60, 20:60] = weight
        return out

    for make in (window, middle):
        with pytest.raises(KeyboardInterrupt):
            blend(PIXELS, blur, weights=make(2), on_tile=stop, **ask)
        with pytest.raises(OutputError, match="another request"):
            blend(PIXELS, blur, weights=make(3), **ask)
        blend(PIXELS, blur, weights=make(2), **ask)
        shutil.rmtree(ask["output"])


def test_a_map_goes_on_for_the_same_channels_only(tmp_path):
    image = np.zeros((2, 4300, 520), np.uint8)  # both channels are the same wherever a digest looks
    image[1, :400, 100:200] = 7
    ask = {"axes": "cyx", "tile_shape": 500, "overlap": 8, "output": tmp_path / "m.zarr", "workers": 1}
    ask["dtype"] = "float64"

    def stop(done, total):
        if done == total - 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blend(image, np.copy, channels=[0], on_tile=stop, **ask)
    with pytest.raises(OutputError, match="channels"):
        blend(image, np.copy, channels=[1], **ask)


def test_maps_that_belong_together_go_on_together(tmp_path, monkeypatch):
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    ask = {"tile_shape": 32, "overlap": 8, "weights": "hann", "stats": ("mean", "disagreement")}
    seal = MapWriter.seal

    def stopped(self):
        if "disagreement" in self.folder.name:
            raise KeyboardInterrupt
        seal(self)

    with monkeypatch.context() as patch:
        patch.setattr(MapWriter, "seal", stopped)
        with pytest.raises(KeyboardInterrupt):
            blend(image, np.copy, output=tmp_path / "m.zarr", **ask)
    found = blend(image, np.copy, output=tmp_path / "m.zarr", **ask)
    assert np.allclose(found.values["mean"][:], image, atol=1e-6)


@pytest.mark.parametrize("finalize", [None, "argmax", lambda block: block[:2] + 1])
def test_no_tile_is_predicted_only_to_see_what_a_map_has_that_goes_on(tmp_path, finalize):
    calls = tmp_path / "calls"

    def model(tile):
        with calls.open("a") as file:  # what a function holds tells it from others
            file.write("x")
        return np.stack([tile, tile * 2, 3 * tile])

    def stopped(after, **more):
        def stop(done, total):
            if done == after:
                raise KeyboardInterrupt

        calls.write_text("")
        with pytest.raises(KeyboardInterrupt):
            blend(PIXELS, model, output=tmp_path / "m.zarr", on_tile=stop, **{**ask, **more})
        return len(calls.read_text())

    ask = {"tile_shape": 64, "overlap": 8, "finalize": finalize, "workers": 1}
    ask["stats"] = ("mean", "disagreement")
    whole = blend(PIXELS, model, **ask).values
    assert stopped(12) == 12
    assert stopped(1) == 1
    assert stopped(1, skipped=1.0, overwrite=True) == 1
    found = blend(PIXELS, model, output=tmp_path / "m.zarr", **ask, skipped=1.0).values
    for name, values in whole.items():
        assert np.array_equal(np.asarray(found[name]), values)


def test_no_tile_is_predicted_twice(tmp_path):
    asked = []

    def count(tile):
        asked.append(tile.shape)
        return tile.astype(np.float32)

    image = np.arange(96 * 130, dtype=np.uint16).reshape(96, 130)
    found = blend(image, count, tile_shape=200, overlap=0)
    assert np.array_equal(found.values, image)
    assert asked == [image.shape]
    asked.clear()
    found = blend(image, count, tile_shape=32, overlap=0, output=tmp_path / "map.zarr")
    assert np.array_equal(found.values[:], image)
    assert len(asked) == len(found.grid)


def test_coarser_levels_of_classes_are_classes(tmp_path):
    image = np.zeros((1101, 1300), np.uint16)
    image[::2] = 2

    def three(tile):
        return np.stack([tile == 0, tile == 1, tile == 2]).astype(np.float32)

    found = blend(image, three, overlap=0, finalize="argmax", output=tmp_path / "map.zarr")
    levels = open_image(found.path).arrays
    assert len(levels) > 1
    assert all(set(np.unique(level[:])) <= {0, 2} for level in levels)
    attributes = json.loads((tmp_path / "map.zarr" / "zarr.json").read_text())["attributes"]
    assert attributes["ome"]["multiscales"][0]["type"] == "nearest"


def test_there_may_be_more_classes_than_bytes_count():
    found = blend(
        np.zeros((4, 5), np.uint8), lambda tile: np.eye(300)[:, 299, None, None] + tile, finalize="argmax"
    )
    assert found.values.dtype == np.uint16
    assert (found.values == 299).all()
