"""Cellpose 4 itself, with a checkpoint of CPSAM that is made here: `make test-cellpose4`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cellpose import models
from cellpose.vit import CPSAM

import seamlabel
from seamlabel import registry
from seamlabel.backends.cellpose_model import Network, load
from seamlabel.backends.cellpose_run import labels_of_flows
from seamlabel.blended import blend
from seamlabel.errors import BackendError
from seamlabel.io.sources import image_info
from seamlabel.testing import check_backend
from seamlabel.testing.cells import Tissue

pytestmark = pytest.mark.timeout(1800)
BACKEND = registry.backend("cellpose")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random weights in the format of Cellpose's own, for which every square of 8 pixels is a cell."""
    torch.manual_seed(0)
    net = CPSAM()
    away = torch.stack(torch.meshgrid(torch.arange(8) - 3.5, torch.arange(8) - 3.5, indexing="ij"))
    with torch.no_grad():
        net.out.weight *= 0.01
        net.out.bias.view(3, 8, 8)[:2] = -5 * away / away.norm(dim=0)  # flows have a length of 5
        net.out.bias.view(3, 8, 8)[2] = 3.0
    path = tmp_path_factory.mktemp("model") / "cpsam"
    net.save_model(str(path))
    yield str(path)
    path.unlink()


def test_one_tile_is_segmented_end_to_end(model):
    network = load(BACKEND.parse({"model": model})[0], 3)
    assert (network.size, network.channels, network.fixed) == (256, 3, True)
    image = Tissue((256, 256), "dense", diameter=30).image()
    result = seamlabel.segment(image, "cellpose", params={"model": model}, tile_shape=256, progress=False)
    assert result.n_objects == 32 * 32
    labels = np.asarray(result.labels)
    assert np.array_equal(labels[::8, ::8].repeat(8, 0).repeat(8, 1), labels)


def test_a_map_is_what_the_network_says_and_its_labels_are_the_networks(model, tmp_path, monkeypatch):
    image, said, call = Tissue((256, 256), "dense", diameter=30).image(), [], Network.__call__

    def listened(network, pieces):
        said.append(call(network, pieces))
        return said[-1]

    monkeypatch.setattr(Network, "__call__", listened)
    out = tmp_path / "map.zarr"
    found = np.asarray(blend(image, "cellpose", params={"model": model}, tile_shape=256, output=out).values)
    assert image_info(out).channels == ("flow y", "flow x", "cell probability")
    np.testing.assert_allclose(found, said[-1][0], rtol=1e-5, atol=1e-6)
    labels = labels_of_flows(found)
    assert labels.max() == 32 * 32
    assert np.array_equal(labels[::8, ::8].repeat(8, 0).repeat(8, 1), labels)


def test_tiles_are_given_the_pieces_of_the_whole_image(model, monkeypatch):
    monkeypatch.setattr(
        Network, "__call__", lambda network, pieces: pieces + pieces.mean((2, 3), keepdims=True)
    )
    image = np.random.default_rng(0).random((3, 256, 1500), np.float32)
    fixed = {"params": {"model": model}, "axes": "cyx", "channels": [0, 1, 2], "align": 224}
    tiled = blend(image, "cellpose", tile_shape=448, overlap=448, **fixed)
    whole = blend(image, "cellpose", tile_shape=image.shape[1:], overlap=0, **fixed)
    assert (len(tiled.grid), len(whole.grid)) == (2, 1)
    np.testing.assert_allclose(tiled.values, whole.values, rtol=1e-5, atol=1e-5)


def test_it_keeps_the_contract(model):
    two = np.stack([Tissue((64, 64), "dense", diameter=16, seed=i).image() for i in range(2)])
    check_backend("cellpose", {"model": model, "min_size": 0}, image=two, channels=2)


def test_models_that_do_not_fit_are_refused(model, tmp_path):
    def refused(path, channels=1):
        with pytest.raises(BackendError) as caught:
            load(BACKEND.parse({"model": str(path)})[0], channels)
        return f"{caught.value} {caught.value.hint}"

    bad = tmp_path / "bad"
    torch.save({"output.2.weight": torch.zeros(3, 32, 1, 1)}, bad)
    assert "is a model for Cellpose 3" in refused(bad)
    torch.save({"W2": torch.zeros(192, 3, 8, 8)}, bad)
    assert "do not fit the network" in refused(bad)
    assert "takes 3 channels, not 4" in refused(model, 4)


def test_missing_weights_are_told_with_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "MODEL_DIR", tmp_path)
    with pytest.raises(BackendError, match="are not here") as caught:
        load(BACKEND.parse({})[0], 1)
    assert str(tmp_path / models.MODEL_NAMES[0]) in f"{caught.value}"
    assert "download=true" in caught.value.hint
