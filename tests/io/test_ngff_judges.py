"""Labels written into images of NGFF 0.4, 0.5 and 0.6, as the schemas and other programs see them."""

from __future__ import annotations

import json
import warnings

import napari_ome_zarr
import ngff_zarr
import numpy as np
import ome_zarr_models
import pytest
import yaozarrs
import zarr
from ngff_zarr.validate import validate
from odd_stores import Odd, spots
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

import seamlabel
from seamlabel.io.ngff.model import open_image

VERSIONS = ("0.4", "0.5", "0.6")
AXES = ("yx", "czyx", "tczyx")


def segmented(odd, folder, **how):
    """Write an image, segment it, and return it and its labels."""
    image = odd.write(folder / "image.zarr")
    channels = [1] if "c" in odd.axes else None
    params = {"value": 50, "smoothing": 0}
    how = {"tile_shape": 16, "overlap": 4, "executor": "serial", "progress": False} | how
    seamlabel.segment(image, "threshold", params=params, channels=channels, name="cells", **how)
    return image, image / "labels" / "cells"


@pytest.fixture(scope="module", params=[(v, a) for v in VERSIONS for a in AXES], ids="-".join)
def store(request, tmp_path_factory):
    """Return an image whose levels are moved, its labels, and what they should be."""
    version, axes = request.param
    odd = Odd(axes=axes, version=version, steps="translation")
    image, label = segmented(odd, tmp_path_factory.mktemp("judged"))
    return odd, image, label, open_image(image).info


def placed(info):
    """Return scale and translation of every level of labels of an image."""
    return [(info.label_values(level.scale), info.label_values(level.translation)) for level in info.levels]


def test_the_official_schemas_pass_the_labels_the_strict_one_of_images_too(store):
    odd, _, label, _ = store
    document = json.loads((label / ("zarr.json" if odd.form == 3 else ".zattrs")).read_text())
    attributes = document.get("attributes", document)
    for model, strict in (("image", False), ("image", True), ("label", False)):
        validate(attributes, version=odd.version, model=model, strict=strict)
    assert attributes.get("ome", attributes)["image-label"]["source"] == {"image": "../../"}


def test_ome_zarr_py_finds_the_labels_below_the_image_where_they_belong(store):
    odd, image, _, info = store
    found = [node for node in Reader(parse_url(str(image)))() if node.metadata.get("name") == "cells"]
    assert len(found) == 1
    assert [data.shape for data in found[0].data] == [info.label_values(level.shape) for level in info.levels]
    for steps, (scale, translation) in zip(
        found[0].metadata["coordinateTransformations"], placed(info), strict=True
    ):
        flat = steps[0]["transformations"] if odd.version == "0.6" else steps
        assert flat[0]["scale"] == pytest.approx(scale)
        assert flat[1]["translation"] == pytest.approx(translation)


def test_ngff_zarr_opens_the_labels_where_they_belong(store):
    _, _, label, info = store
    images = ngff_zarr.from_ngff_zarr(str(label)).images
    units = info.label_values(info.units)
    for image, (scale, translation) in zip(images, placed(info), strict=True):
        assert tuple(image.scale.values()) == pytest.approx(scale)
        assert tuple(image.translation.values()) == pytest.approx(translation)
        assert tuple(image.axes_units.values()) == units
        assert "".join(image.dims) == "".join(info.axes[i].name for i in info.label_axes)
    top = open_image(label).arrays[0][:]
    assert np.array_equal(np.asarray(images[0].data), top)
    assert top.max() > 5


def test_napari_ome_zarr_puts_the_labels_onto_the_image(store):
    odd, image, _, info = store
    layers = napari_ome_zarr.napari_get_reader(str(image))(str(image))
    picture, drawn = (next(layer[1] for layer in layers if layer[2] == kind) for kind in ("image", "labels"))
    assert drawn["scale"] == pytest.approx(placed(info)[0][0])
    assert drawn["scale"] == picture["scale"]
    assert np.array_equal(drawn["affine"].affine_matrix, picture["affine"].affine_matrix)
    assert drawn.get("units") == picture.get("units")
    if odd.version == "0.6":  # of older versions it drops the image's translation, and the labels'
        assert drawn["affine"].translate == pytest.approx(placed(info)[0][1])


def test_validators_pass_the_labels_and_their_list(store):
    odd, _, label, _ = store
    if odd.version == "0.6":
        pytest.skip("yaozarrs and ome-zarr-models know no 0.6 yet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yaozarrs.validate_zarr_store(str(label))
        for path in (label, label.parent):
            model = ome_zarr_models.open_ome_zarr(zarr.open_group(str(path), mode="r"))
            assert model.ome_zarr_version == odd.version


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("factor", [2, 4, 1.5])
def test_labels_of_a_coarser_level_land_on_the_image(tmp_path, version, factor):
    odd = Odd(axes="cyx", version=version, factor=factor, steps="translation")
    image, label = segmented(odd, tmp_path, level=1)
    pictures, labels = open_image(image), open_image(label)
    assert [a.shape for a in labels.arrays] == [a.shape[1:] for a in pictures.arrays]
    assert np.array_equal(labels.arrays[1][:] > 0, pictures.arrays[1][1] > 50)
    bright, marked = spots("cyx")[1] > 50, labels.arrays[0][:] > 0
    fits = {
        (dy, dx): _overlap(bright, marked, dy, dx) for dy in (-2, -1, 0, 1, 2) for dx in (-2, -1, 0, 1, 2)
    }
    assert fits[0, 0] == max(fits.values())
    middle = _world(labels.info.levels[0], labels.arrays[0].shape)
    assert middle == pytest.approx(_world(pictures.info.levels[0], pictures.arrays[0].shape, 1))


def _overlap(bright, marked, dy, dx):
    moved = np.roll(marked, (dy, dx), (0, 1))[2:-2, 2:-2]
    return (bright[2:-2, 2:-2] & moved).sum() / (bright[2:-2, 2:-2] | moved).sum()


def _world(level, shape, first=0):
    """Return the centre of a level in the world, without axes before `first`."""
    middle = [
        t + s * (n - 1) / 2 for t, s, n in zip(level.translation, level.scale, level.shape, strict=True)
    ]
    return middle[first:]
