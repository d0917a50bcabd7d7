"""Maps of Cellpose 3 itself: what its network says, tile by tile, as one image."""

from __future__ import annotations

import numpy as np
import pytest
from cellpose import models
from tests.with_cellpose.training import DIAMETER, context, scaled

import seamlabel
from seamlabel import registry
from seamlabel.backends.cellpose_run import labels_of_flows
from seamlabel.blended import blend
from seamlabel.errors import BackendError
from seamlabel.io.sources import image_info
from seamlabel.testing.cells import Tissue
from seamlabel.testing.partition import compare

pytestmark = pytest.mark.timeout(1800)
BACKEND = registry.backend("cellpose")


def maps_of(asked, image, *where):
    return BACKEND.make_maps(BACKEND.parse(asked)[0], context(image, *where))


def test_a_map_is_what_the_network_says(asked):
    image = Tissue((224, 224), "dense", diameter=DIAMETER).image()
    maps = maps_of(asked, image)
    pixels = np.stack([scaled(image), np.zeros(image.shape, np.float32)])[None]
    found = blend(image, "cellpose", params=asked).values
    np.testing.assert_allclose(found, maps.segmenter.network(pixels)[0], atol=0.05)
    np.testing.assert_array_equal(found, maps(image))


@pytest.mark.parametrize("diameter", [DIAMETER, 44])
def test_a_map_has_the_values_and_the_shape_of_cellposes_own_flows(asked, diameter):
    image = Tissue((300, 220), "dense", diameter=diameter, seed=8).image()
    found = maps_of({**asked, "diameter": diameter}, image)(image)
    model = models.CellposeModel(gpu=False, pretrained_model=asked["model"], nchan=2, mkldnn=False)
    pixels = np.stack([scaled(image), np.zeros(image.shape, np.float32)])
    flows = model.eval(pixels, channel_axis=0, normalize=False, diameter=diameter, compute_masks=False)[1]
    for ours, theirs in zip(found, [*flows[1], flows[2]], strict=True):  # its pieces lie elsewhere
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95
        assert np.polyfit(theirs.ravel(), ours.ravel(), 1)[0] == pytest.approx(1, abs=0.1)


def test_tiles_give_the_map_of_the_whole_image(asked):
    # pieces of 224 pixels, 192 from one to the next: tiles that start at multiples of 192, and know two
    # steps beyond what they own, have the pieces of the whole image
    image = Tissue((224, 1300), "dense", diameter=DIAMETER, seed=7).image()
    tiled = blend(image, "cellpose", params=asked, tile_shape=384, overlap=384, align=192)
    whole = maps_of(asked, image)(image)
    assert len(tiled.grid) > 1
    print(f"\ntiles differ from the whole by {np.abs(tiled.values - whole).max():.2g}")
    np.testing.assert_allclose(tiled.values, whole, atol=1e-4)


def test_labels_of_a_map_are_those_that_the_network_gives_and_need_no_network(asked, tmp_path):
    image, out = Tissue((192, 192), "dense", diameter=DIAMETER, seed=3).image(), tmp_path / "map.zarr"
    blend(image, "cellpose", params=asked, output=out)
    assert image_info(out).channels == ("flow y", "flow x", "cell probability")
    expected = BACKEND.make(BACKEND.parse({**asked, "min_size": 0})[0], context(image))(image)
    target = "seamlabel.backends.cellpose_run:labels_of_flows"

    def labels(**keywords):
        params = {"target": target, "keywords": keywords}
        return seamlabel.segment(
            out, "function", params=params, channels=[0, 1, 2], tile_shape=192, overwrite=True, progress=False
        ).labels

    assert compare(expected, np.asarray(labels())).same
    fewer = np.asarray(labels(cellprob_threshold=4.0, flow_threshold=0.0))
    assert 0 < np.count_nonzero(fewer) < np.count_nonzero(expected) / 2


def test_a_volume_has_flows_along_all_axes_and_planes_have_their_own(asked):
    image = Tissue((5, 80, 96), "tissue3d", diameter=DIAMETER).image()
    maps = maps_of(asked, image, "zyx", (2.0, 1.0, 1.0))
    assert maps.outputs == ("flow z", "flow y", "flow x", "cell probability")
    found = maps(image)
    assert found.shape == (4, 5, 80, 96)
    assert compare(maps.segmenter(image), labels_of_flows(found, min_size=15)).same
    planes = blend(image, "cellpose", params=asked, planes=True).values
    assert planes.shape == (3, 5, 80, 96)
    plane = maps_of(asked, image[None])  # brightness is that of the volume
    for z in (0, 4):
        np.testing.assert_allclose(planes[:, z], plane(image[z]), atol=1e-4)


def test_an_image_with_other_axes_is_refused_with_what_to_do(asked):
    with pytest.raises(BackendError, match="Cellpose segments axes y, x or z, y, x, not x") as caught:
        blend(np.zeros(50, np.uint16), "cellpose", params=asked, axes="x")
    assert caught.value.hint


def test_labels_of_flows_that_lie_otherwise_are_refused():
    with pytest.raises(BackendError, match="flows of y, x or z, y, x") as caught:
        labels_of_flows(np.zeros((2, 30, 30), np.float32))
    assert "channels" in caught.value.hint
