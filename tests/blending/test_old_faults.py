"""Faults of other programs that blend patches, which must not be ours; those that no other test holds.

The list, and where each of them is held, is in the comments: one line each.
"""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from PIL import Image
from scipy import ndimage
from tests.blending.test_blend import Once, noisy

import seamlabel
from seamlabel.blending.blend import Blend
from seamlabel.blending.predicting import predict
from seamlabel.blending.windows import Border
from seamlabel.compat.patchly import Aggregator, GridSampler
from seamlabel.compat.qlty import LargeNCYXQuilt, NCYXQuilt
from seamlabel.errors import ImageError, SeamlabelError, TileError
from seamlabel.io.convert import convert
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.validate import validate
from seamlabel.patch_grid import PatchGrid

GRID = PatchGrid((50, 61), (20, 16), (6, 5))
IMAGE = np.random.default_rng(0).random(GRID.shape).astype(np.float32)


# A weight map of bytes that wraps at 256 overlaps: also test_blend, test_compat_patchly.


@pytest.mark.parametrize("kind", ["gaussian", Border(2, 0.1), "array"])
def test_weights_of_any_kind_count_more_than_256_patches_of_integers(kind):
    grid = PatchGrid((640,), (300,), (1,))
    out = np.zeros(640, np.uint8)
    blend = Blend(grid, out, np.ones(300, np.uint8) if isinstance(kind, str) and kind == "array" else kind)
    for patch in grid:
        blend.add(patch.number, np.full(300, 200, np.uint8))
    blend.finish()
    assert (out == 200).all()


def test_a_quilt_counts_more_than_256_patches():
    quilt = NCYXQuilt(1, 640, (1, 300), (1, 1), border=(0, 2), border_weight=0.5)
    patches = np.full((len(quilt.grid), 1, 1, 300), 200, np.uint8)
    found, weights = quilt.stitch(patches)
    assert np.allclose(found, 200)
    assert weights.max() == 298  # 296 patches see a voxel inside, 4 in their border


# Exceptions that are swallowed: also test_predicting, test_blend, test_compat_qlty.


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_any_thread_names_its_patch_and_nothing_is_made_up_for_it(workers):
    bad = IMAGE[GRID[17].box.slices].sum()

    def model(tile):
        if tile.sum() == bad:
            raise ZeroDivisionError("as models do")
        return tile

    blend = Blend(GRID, np.full(GRID.shape, 7, np.float32), "hann")
    with pytest.raises(TileError, match="tile 17: ZeroDivisionError: as models do"):
        list(predict(blend, lambda box: IMAGE[box.slices], model, workers=workers))
    with pytest.raises(SeamlabelError, match="patches are missing: 17"):
        blend.finish()


def test_an_error_of_what_finishes_a_block_is_told_by_blend_and_by_patchlys_aggregator():
    def broken(block):
        raise ZeroDivisionError("as functions do")

    blend = Blend(GRID, np.zeros(GRID.shape, np.float32), finalize=broken)
    with pytest.raises(ZeroDivisionError):
        [blend.add(patch.number, IMAGE[patch.box.slices]) for patch in GRID]
    with pytest.raises(ZeroDivisionError):
        blend.finish()
    sampler = GridSampler(IMAGE, GRID.shape, GRID.patch, GRID.step)
    aggregator = Aggregator(sampler, GRID.shape, chunk_postprocess_func=broken)
    with pytest.raises(ZeroDivisionError), ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda i: aggregator.append(*sampler[i]), range(len(sampler))))
    with pytest.raises(SeamlabelError, match="were not appended"):
        aggregator.get_output()


# NaN that becomes 0: also test_blend, test_compat_patchly, test_compat_qlty.


def test_nan_stays_nan_on_disk(tmp_path):
    image = np.where(IMAGE > 0.9, np.nan, IMAGE)
    found = seamlabel.blend(image, np.copy, tile_shape=16, overlap=4, output=tmp_path / "map.zarr")
    assert np.array_equal(np.asarray(found.values), image, equal_nan=True)
    quilt = LargeNCYXQuilt(tmp_path / "quilt", 1, *GRID.shape, GRID.patch, GRID.step)
    for number in quilt.needed():
        quilt.stitch(quilt.unstitch(image[None, None], number), number)
    found = quilt.return_mean()[0, 0]
    assert np.array_equal(np.isnan(found), np.isnan(image))


# Sizes that nothing divides fail in 3D: also test_predicting, test_compat_patchly, test_compat_qlty.


@pytest.mark.parametrize("edge", ["snap", "even", "shrink", "pad"])
def test_volumes_of_sizes_that_nothing_divides_are_whole(edge):
    volume = np.random.default_rng(1).random((13, 31, 29)).astype(np.float32)

    def blur(tile):
        return ndimage.uniform_filter(tile, 3, mode="mirror")

    found = seamlabel.blend(volume, blur, tile_shape=(5, 8, 7), overlap=2, edge=edge, workers=2)
    assert np.array_equal(found.values, blur(volume))


# A race of threads that stitch at once: also test_blend, test_compat_patchly, test_compat_qlty.


@pytest.mark.parametrize("kind", ["gaussian", "crop"])
def test_a_thread_that_adds_waits_until_another_one_has_written(kind):
    grid, told = PatchGrid((100, 100), (50, 50), (50, 50)), []
    other = threading.Thread(target=lambda: told.append(blend.add(1, noisy(grid[1]))))

    def written(number):
        if number == 0:
            other.start()
            other.join(0.05)
            told.append("written")

    blend = Blend(grid, Once((2, 100, 100), chunks=(2, 50, 50)), kind, on_block=written)
    blend.add(0, noisy(grid[0]))
    other.join()
    assert told == ["written", True]


# A retry that counts twice: also test_blend, test_compat_patchly, test_compat_qlty.


@pytest.mark.parametrize("kind", ["crop", "hann"])
def test_patches_of_a_batch_that_is_tried_again_count_once(kind):
    torn = []

    class Torn:
        """Answers to a batch, the last of which is lost on its way."""

        def __init__(self, answers):
            self.answers = answers

        def __getitem__(self, place):
            if place == len(self.answers) - 1:
                torn.append(place)
                raise RuntimeError("lost on its way")
            return self.answers[place]

    def model(tiles):
        return Torn(tiles) if len(torn) < 9 else tiles

    out = Once(GRID.shape, chunks=(7, 9))
    list(predict(Blend(GRID, out, kind), lambda box: IMAGE[box.slices], model, batch=4, retries=9))
    assert len(torn) == 9
    assert np.allclose(out.data, IMAGE, atol=1e-6)
    assert (out.times == 1).all()


# A restart that wipes what was done: test_blend, test_blended, test_gather, test_compat_qlty.
# `border_weight=0` that halves values along the image's edges: also test_compat_qlty.


def test_a_border_that_weighs_nothing_counts_nowhere_but_at_the_images_own_edges():
    grid, field = PatchGrid((50, 61), (16, 16), (8, 8)), np.full((50, 61), 3, np.float32)
    out = np.zeros_like(field)
    blend = Blend(grid, out, Border(3, 0.0))
    for patch in grid:
        values = np.full((16, 16), 99, np.float32)
        inside = tuple(
            slice(3 * (a > 0), 16 - 3 * (b < n))
            for a, b, n in zip(patch.box.start, patch.box.stop, grid.shape, strict=True)
        )
        values[inside] = 3
        blend.add(patch.number, values)
    blend.finish()
    assert np.allclose(out, field, atol=1e-3)


# Slices of a stack that close up over a gap, one stack's type that leaks into the next: also
# test_convert_stacks, test_compat_qlty_volumes. Channels and ends of 2.5D: test_context, likewise.


def planes(folder, name, numbers, shape, dtype):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(np.full(shape, 100 + number, dtype)).save(folder / f"{name}_{number}.png")


def test_a_gap_in_a_stack_is_told_before_it_is_blended_and_every_stack_keeps_its_type(tmp_path):
    planes(tmp_path / "gap", "a", (0, 1, 3), (20, 21), np.uint8)
    with pytest.raises(ImageError, match="1 of 4 planes have no file: z=2"):
        seamlabel.blend(tmp_path / "gap" / "a_{z}.png", np.copy)
    planes(tmp_path / "two", "a", (0, 1), (37, 41), np.uint16)
    planes(tmp_path / "two", "b", (9, 10, 11), (20, 21), np.uint8)
    made = convert(tmp_path / "two", tmp_path / "out", pattern="{stack}_{z}.png", stack="all")
    found = [open_image(path).arrays[0] for path in made]
    assert [(array.shape, array.dtype) for array in found] == [
        ((2, 37, 41), np.uint16),
        ((3, 20, 21), np.uint8),
    ]
    assert found[1][:, 0, 0].tolist() == [109, 110, 111]


# Dark edges of pyramids, NGFF that validators refuse: also test_convert, test_ngff_images.


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("axes", "shape", "options"),
    [
        ("yx", (1101, 1037), {"dtype": "uint8", "weights": "gaussian"}),
        ("zyx", (3, 531, 40), {"stats": ("mean", "disagreement"), "weights": "hann"}),
        ("tyx", (2, 40, 531), {"outputs": ("one", "two")}),
    ],
)
def test_maps_are_valid_and_not_dark_at_their_ends(tmp_path, version, axes, shape, options):
    image = np.full(shape, 200, np.uint8)
    channels = len(options.get("outputs", ())) or 1
    found = seamlabel.blend(
        image, lambda tile: np.stack([tile] * channels), axes=axes, tile_shape=256, overlap=8,
        output=tmp_path / "map.zarr", version=version, **options,
    )  # fmt: skip
    levels = open_image(found.path).arrays
    assert len(levels) > 1
    for level in levels:
        assert np.abs(np.asarray(level[...], float) - 200).max() < 1e-3
    for path in found.paths.values():
        judged(path, version)


def test_maps_of_a_large_quilt_are_valid_and_not_dark_at_their_ends(tmp_path):
    quilt = LargeNCYXQuilt(tmp_path / "quilt", 2, 1101, 1037, (300, 300), (260, 260), 3)
    for number in quilt.needed():
        quilt.stitch(np.full((1, 300, 300), 200, np.float32), number)
    quilt.return_mean()
    for name in ("mean", "std"):
        judged(tmp_path / f"quilt_{name}.zarr", "0.5")
    levels = open_image(tmp_path / "quilt_mean.zarr").arrays
    assert len(levels) > 1
    for level in levels:
        assert np.abs(np.asarray(level[...], float) - 200).max() < 1e-3


def judged(path, version):
    """Have everyone who judges NGFF judge an image."""
    models, yaozarrs = pytest.importorskip("ome_zarr_models"), pytest.importorskip("yaozarrs")
    strict = pytest.importorskip("ngff_zarr.validate")
    assert [str(one) for one in validate(path) if one.wrong] == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yaozarrs.validate_zarr_store(str(path))
        group = zarr.open_group(str(path), mode="r")
        assert models.open_ome_zarr(group).ome_zarr_version == version
        strict.validate(dict(group.attrs), version=version, model="image", strict=True)


# Not in the list, but found with it: tiles that are normalised one by one. Alignment: test_needs.


def test_tiles_that_are_normalised_by_the_image_are_exact_and_those_by_themselves_never():
    image = ndimage.gaussian_filter(np.random.default_rng(2).random((150, 170)), 2).astype(np.float32)

    def model(tile, low, high):
        return ndimage.uniform_filter((tile - low) / (high - low), 5, mode="mirror") > 0.5

    low, high = np.percentile(image, (1, 99)).astype(np.float32)
    whole = model(image, low, high)
    ask = {"tile_shape": 40, "overlap": 12, "dtype": "uint8"}
    assert np.array_equal(seamlabel.blend(image, lambda t: model(t, low, high), **ask).values, whole)
    for weights in ("crop", "gaussian"):
        alone = seamlabel.blend(image, lambda t: model(t, *np.percentile(t, (1, 99))), weights=weights, **ask)
        assert (alone.values != whole).mean() > 0.01
