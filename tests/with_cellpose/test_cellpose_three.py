"""Cellpose 3 itself, with a model that is trained here: `make test-cellpose3`."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from cellpose import models
from tests.with_cellpose.training import DIAMETER, agreeing, context

import seamlabel
from seamlabel import registry
from seamlabel.backends.cellpose_grid import BLOCK
from seamlabel.backends.cellpose_model import load
from seamlabel.backends.cellpose_run import CellposeSegmenter
from seamlabel.engine.whole import whole_image_labels
from seamlabel.errors import BackendError
from seamlabel.io.sources import open_source
from seamlabel.testing import check_backend
from seamlabel.testing.cells import Tissue
from seamlabel.testing.partition import compare

pytestmark = pytest.mark.timeout(1800)
BACKEND = registry.backend("cellpose")


def tiled_and_whole(image, params, **tiles):
    result = seamlabel.segment(image, "cellpose", params=params, progress=False, workers=2, **tiles)
    whole = whole_image_labels(result.plan, open_source(image, result.plan.info, 0, ()))
    return np.asarray(result.labels), whole


def test_the_model_finds_the_cells(asked):
    cells = Tissue((256, 256), "dense", diameter=DIAMETER, seed=3)
    segment = BACKEND.make(BACKEND.parse(asked)[0], context(cells.image()))
    assert agreeing(cells.truth(), segment(cells.image()), iou=0.5) > 0.8


def test_tiles_give_the_labels_of_the_whole_image(asked, record_property):
    image = Tissue((640, 560), "dense", diameter=DIAMETER, seed=7).image()
    tiled, whole = tiled_and_whole(image, asked, tile_shape=256)  # with the overlap that is "auto"
    share, report = agreeing(whole, tiled), compare(whole, tiled)
    record_property("agreeing", share)
    print(f"\n{share:.2%} of {report.n_a} objects agree; {report.identical} voxel for voxel")
    assert report.n_a > 250
    assert share >= 0.99
    assert abs(report.n_a - report.n_b) <= 0.01 * report.n_a


def test_scaled_tiles_give_the_labels_of_the_whole_image(asked):
    image = Tissue((400, 600), "dense", diameter=44, seed=8).image()
    tiled, whole = tiled_and_whole(image, {**asked, "diameter": 44}, tile_shape=(400, 300))
    assert agreeing(whole, tiled) >= 0.99


def test_labels_are_identical_where_the_overlap_holds_what_the_network_sees(asked):
    # pieces of 224 pixels, 192 from one to the next, and an object or two: 384 voxels of overlap;
    # tiles that start at multiples of 192 have the pieces of the whole image
    image = Tissue((224, 1536), "dense", diameter=DIAMETER, seed=7).image()
    tiled, whole = tiled_and_whole(image, asked, tile_shape=(224, 384), overlap=(0, 384))
    report = compare(whole, tiled)
    print(f"\n{report}")
    assert report.n_a > 200
    assert report.same


def test_it_keeps_the_contract(asked):
    check_backend("cellpose", asked)
    check_backend("cellpose", asked, channels=2)


def test_a_volume_is_segmented_along_all_axes(asked):
    image = Tissue((24, 96, 112), "tissue3d", diameter=24).image()
    params = BACKEND.parse({**asked, "diameter": 24, "min_size": 0})[0]
    segmenter = BACKEND.make(params, context(image, "zyx", (2.0, 1.0, 1.0)))
    assert segmenter.zoom.voxels[0] == pytest.approx(segmenter.zoom.voxels[1] / 2, abs=1)
    assert segmenter(image).shape == image.shape


def test_flows_of_a_volume_lie_along_its_axes(asked):
    image = np.zeros((20, 24, 28), np.uint16)
    segmenter = BACKEND.make(BACKEND.parse(asked)[0], context(image, "zyx", (1.0,) * 3))
    segmenter.network = lambda pieces: np.stack(
        [np.full(pieces[:, 0].shape, value, np.float32) * (1 + pieces[:, 0]) for value in (1, 10, 100)], 1
    )
    ramp = np.zeros((2, 20, 24, 28), np.float32)
    ramp[0] = np.arange(20)[:, None, None]
    flows = segmenter._volume(ramp)
    light = 1 + ramp[0]
    for axis, value in enumerate((1 + 1, 1 + 10, 10 + 10, 300)):  # first and second axis of its planes
        np.testing.assert_allclose(flows[axis], value * light, rtol=1e-5)


def test_networks_take_turns_while_labels_are_made_of_other_tiles(asked):
    image = Tissue((96, 96), "dense", diameter=DIAMETER).image()
    segmenter = BACKEND.make(BACKEND.parse(asked)[0], context(image))
    expected = segmenter(image)
    network, follow = segmenter.network, segmenter._follow
    inside, most, second = [], [], threading.Event()

    class Watched:
        channels = network.channels
        device = network.device

        def __call__(self, pieces):
            inside.append(1)
            most.append(len(inside))
            if len(most) == 2:
                second.set()
            try:
                return network(pieces)
            finally:
                inside.pop()

    def wait(flows, device):
        assert second.wait(60), "the second network waits for the first one's labels"
        return follow(flows, device)

    segmenter.network, segmenter._follow = Watched(), wait
    found = []
    threads = [threading.Thread(target=lambda: found.append(segmenter(image))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert all(np.array_equal(labels, expected) for labels in found)


class Small:
    """A network on a GPU whose memory holds so many pieces."""

    def __init__(self, network, holds):
        self.network, self.holds, self.given = network, holds, []
        self.channels, self.device = network.channels, network.device

    def __call__(self, pieces):
        self.given.append(len(pieces))
        if len(pieces) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network(pieces)


def test_where_gpu_memory_runs_out_fewer_pieces_are_given_at_once(asked):
    image = Tissue((230, 700), "dense", diameter=DIAMETER).image()
    segmenter = BACKEND.make(BACKEND.parse(asked)[0], context(image))
    expected = segmenter(image)
    segmenter.network = Small(segmenter.network, 3)
    assert compare(expected, segmenter(image)).same
    assert segmenter.network.given[:3] == [8, 4, 2]
    assert set(segmenter.network.given[2:]) == {2}
    segmenter.network.holds = 0
    with pytest.raises(BackendError, match="does not hold the network") as caught:
        segmenter(image)
    assert "cpu" in caught.value.hint


def test_where_gpu_memory_runs_out_labels_are_made_on_the_processor(asked, monkeypatch):
    image = Tissue((96, 96), "dense", diameter=DIAMETER).image()
    segmenter = BACKEND.make(BACKEND.parse(asked)[0], context(image))
    expected, follow = segmenter(image), segmenter._follow
    asked_of = []

    def full(flows, device):
        asked_of.append(device.type)
        if len(asked_of) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return follow(flows, device)

    monkeypatch.setattr(segmenter, "_follow", full)
    assert np.array_equal(segmenter(image), expected)
    assert asked_of[-1] == "cpu"


def refused(params, channels=1):
    with pytest.raises(BackendError) as caught:
        load(BACKEND.parse(params)[0], channels)
    assert caught.value.hint
    return f"{caught.value} {caught.value.hint}"


class Evil:
    def __reduce__(self):
        return os.mkdir, ("/nowhere/at/all",)


def test_files_that_are_no_weights_are_refused_and_nothing_in_them_runs(asked, tmp_path):
    bad, state = tmp_path / "bad", torch.load(asked["model"], weights_only=True)
    bad.write_bytes(b"not a model")
    assert "no file of weights" in refused({"model": str(bad)})
    torch.save({**state, "more": Evil()}, bad)
    assert "could run code" in refused({"model": str(bad)})
    torch.save([1, 2], bad)
    assert "no weights of a network" in refused({"model": str(bad)})
    torch.save({"a": torch.zeros(3)}, bad)
    assert "no model of Cellpose" in refused({"model": str(bad)})
    torch.save({"W2": torch.zeros(192, 3, 8, 8)}, bad)
    assert "is a model for Cellpose 4" in refused({"model": str(bad)})
    torch.save({k: v for k, v in state.items() if "res_up_1" not in k}, bad)
    assert "do not fit the network" in refused({"model": str(bad)})
    torch.save({k: v[:1] if k == "output.2.bias" else v for k, v in state.items()}, bad)
    assert "do not fit the network" in refused({"model": str(bad)})
    torch.save({**state, "output.2.weight": torch.zeros(4, 32, 1, 1)}, bad)
    assert "4 outputs, not 3" in refused({"model": str(bad)})


def test_missing_weights_are_told_with_where_they_belong_and_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "MODEL_DIR", tmp_path)
    monkeypatch.setattr(models, "cache_model_path", lambda name: pytest.fail("a download was begun"))
    said = refused({})
    assert str(tmp_path / "cyto3") in said
    assert "download=true" in said
    assert "curl" in said
    assert str(tmp_path / "nucleitorch_0") in refused({"model": "nuclei"})
    assert "has no model 'cyt03'" in refused({"model": "cyt03"})
    assert "there is no model" in refused({"model": str(tmp_path / "none")})


def test_a_download_that_fails_is_told(tmp_path, monkeypatch):
    def fails(name):
        raise OSError("no network")

    monkeypatch.setattr(models, "MODEL_DIR", tmp_path)
    monkeypatch.setattr(models, "cache_model_path", fails)
    assert "no network" in refused({"download": True})


def test_weights_in_cellposes_folder_are_found_by_their_name(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "MODEL_DIR", tmp_path)
    shutil.copy(asked["model"], tmp_path / "cyto3")
    assert load(BACKEND.parse({})[0], 1).usual == pytest.approx(33, abs=3)  # as it is trained here


def test_more_channels_than_the_model_takes_are_refused(asked):
    assert "takes 2 channels, not 3" in refused(asked, channels=3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told_before_any_tile(asked):
    assert "no GPU 'cuda:1'" in refused({**asked, "device": "cuda:1"})
    image = Tissue((96, 96), "dense").image()
    with pytest.raises(BackendError, match="no GPU 'cuda'"):
        seamlabel.segment(image, "cellpose", params={**asked, "device": "cuda"}, progress=False)


def test_an_image_that_is_dark_or_has_no_numbers_gives_background(asked):
    image = np.full((64, 64), np.nan, np.float32)
    params = replace(BACKEND.parse(asked)[0], min_size=0)
    network = load(params, 1)
    for limits in [(0.0, 0.0), (0.0, 1.0)]:
        assert not CellposeSegmenter(params, network, [limits], (BLOCK, BLOCK))(image).any()
