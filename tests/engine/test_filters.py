"""Objects removed by size and place: whole objects count, however tiles cut them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from truths import cut, seamless

import seamlabel
from seamlabel import MergeSpec, RunSpec, SpecError, TileGrid, merge_labels, resolve
from seamlabel.axes import ImageInfo, LevelInfo, parse_axes
from seamlabel.cli import main
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels, open_source
from seamlabel.testing import same_partition
from seamlabel.testing.strategies import images_and_grids


def kept(labels, least, most, drop_border, axes=None):
    """Remove whole objects by their voxels, and those at the border, by brute force."""
    out = labels.copy()
    edge = np.ones(labels.shape, bool)
    inner = [slice(None)] * labels.ndim
    for axis in axes if axes is not None else range(labels.ndim):
        inner[axis] = slice(1, -1)
    edge[tuple(inner)] = False
    for value in np.unique(labels[labels > 0]):
        where = labels == value
        size = int(where.sum())
        if size < least or (most and size > most) or (drop_border and edge[where].any()):
            out[where] = 0
    return out


@settings(max_examples=150, deadline=None)
@given(
    drawn=images_and_grids(),
    least=st.integers(0, 20),
    more=st.none() | st.integers(1, 60),
    drop_border=st.booleans(),
    rule=st.sampled_from(["iou", "touching"]),
)
def test_objects_are_removed_by_their_whole_size_and_place(drawn, least, more, drop_border, rule):
    labels, grid = drawn
    labels = seamless(labels)
    if rule == "iou":
        grid = TileGrid(grid.shape, grid.tile_shape, tuple(h + 1 for h in grid.overlap))
    else:
        labels = ndimage.label(labels, np.ones((3,) * labels.ndim))[0]
    most = None if more is None else least + more
    wishes = {"min_size": least, "max_size": most, "drop_border": drop_border}
    merged = merge_labels(cut(labels, grid), grid, merge=rule, **wishes)
    assert same_partition(merged, kept(labels, least, most, drop_border))
    assert sorted(np.unique(merged[merged > 0])) == list(range(1, int(merged.max()) + 1))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), least=st.integers(0, 30), drop_border=st.booleans())
def test_linked_objects_are_removed_by_the_size_of_all_their_planes(seed, least, drop_border):
    """Columns of boxes: what lies over each other is one object of all its planes."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((4, 16, 20), int)
    for number, (y, x) in enumerate(np.ndindex(4, 5), start=1):
        low, high = sorted(rng.integers(0, 5, 2))
        labels[low:high, 4 * y : 4 * y + rng.integers(1, 4), 4 * x : 4 * x + rng.integers(1, 4)] = number
    grid = TileGrid(labels.shape, (1, *rng.integers(2, 12, 2).tolist()), (0, 2, 2))
    merged = merge_labels(
        [seamless(labels[t.read.slices]) for t in grid],
        grid,
        merge=MergeSpec(z_link=1.0),
        linked=0,
        min_size=least,
        max_size=40,
        drop_border=drop_border,
    )
    assert same_partition(merged, kept(labels, least, 40, drop_border, axes=(1, 2)))


def test_a_run_removes_what_the_whole_image_would_not_have(tmp_path):
    noise = np.random.default_rng(1).standard_normal((200, 220))
    image = ndimage.gaussian_filter(noise, 3).astype(np.float32)
    result = seamlabel.segment(
        image,
        "threshold",
        params={"smoothing": 1.0, "value": 0.02},
        tile_shape=60,
        min_size=40,
        max_size=900,
        drop_border=True,
        progress=False,
    )
    plain = resolve(result.plan.spec.replace(min_size=0, max_size=None, drop_border=False), result.plan.info)
    whole = whole_image_labels(plain, open_source(image, plain.info, 0, ()))
    wanted = kept(whole, 40, 900, True)
    assert same_partition(np.asarray(result.labels), wanted)
    assert same_partition(whole_image_labels(result.plan, open_source(image, plain.info, 0, ())), wanted)
    assert 3 < len(np.unique(wanted)) < len(np.unique(whole)) - 3
    assert "objects under 40 or over 900 voxels or at the border are removed" in result.plan.summary()


def info(axes="yx", scale=(0.5, 0.5), units="micrometer", levels=1):
    units = (units,) * len(axes) if isinstance(units, str | None) else units
    parsed = tuple(
        replace(axis, unit=unit if axis.kind == "space" else "second")
        for axis, unit in zip(parse_axes(axes), units, strict=True)
    )
    made = [
        LevelInfo(
            str(k), (64 >> k,) * len(axes), (64 >> k,) * len(axes), tuple(s * 2**k for s in scale), (0.0,)
        )
        for k in range(levels)
    ]
    return ImageInfo(parsed, "uint16", tuple(made))


@pytest.mark.parametrize(
    ("size", "about", "voxels"),
    [
        ("50 um2", info(), 200),
        ("50 µm^2", info(), 200),
        ("50 μm²", info(), 200),
        ("5e-5 mm2", info(), 200),
        ("50um2", info(scale=(0.1, 0.1)), 5000),
        ("50.001 um2", info(), 201),
        ("10 um3", info("zyx", (2, 0.5, 0.5)), 20),
        ("10 um2", info("tyx", (60, 0.5, 0.5)), 40),
        ("3 um", info("x", (0.5,)), 6),
        ("1 um2", info(scale=(100, 0.001), units=("nanometer", "millimeter")), 10),
    ],
)
def test_sizes_with_units_are_voxels_in_the_plan(size, about, voxels):
    assert resolve(RunSpec(min_size=size), about).keep.min_size == voxels


def test_sizes_follow_level_and_planes():
    two = info(levels=2)
    assert resolve(RunSpec(min_size="50 um2", level=1), two).keep.min_size == 50
    assert resolve(RunSpec(max_size="50.9 um2", level=1), two).keep.max_size == 50
    stack = info("zyx", (2, 0.5, 0.5))
    assert resolve(RunSpec(min_size="50 um2", planes=True), stack).keep.min_size == 200
    linked = RunSpec(min_size="50 um3", planes=True, merge={"z_link": 0.3})
    assert resolve(linked, stack).keep.min_size == 100


@pytest.mark.parametrize(
    ("wishes", "about", "says"),
    [
        (
            {"min_size": "50 um3"},
            info(),
            "min_size: '50 um3' is a volume, but objects along y, x have an area",
        ),
        ({"max_size": "50 um2"}, info("zyx", (1, 1, 1)), "max_size: .* have a volume. .*'50 um3'"),
        ({"min_size": "50 um2"}, info(units=None), "min_size: the image gives no unit of length along y, x"),
        ({"min_size": "9 um2"}, info(units=("micrometer", "furlong")), "no unit of length along x"),
        ({"max_size": "0.1 um2"}, info(), "max_size: 0.1 um2 is less than a voxel"),
        ({"max_size": 4, "min_size": "2 um2"}, info(), "max_size: 4 is below min_size"),
        ({"min_size": "50 um3", "planes": True}, info("zyx", (1, 1, 1)), "objects along y, x have an area"),
    ],
)
def test_sizes_that_do_not_fit_the_image_are_problems(wishes, about, says):
    with pytest.raises(SpecError, match=says):
        resolve(RunSpec(**wishes), about)


def test_the_command_line_takes_sizes_with_units(tmp_path, capsys):
    path, image = str(tmp_path / "i.zarr"), np.zeros((40, 40), np.uint16)
    image[5:10, 5:10], image[20:30, 20:30], image[0:5, 30:35] = 900, 900, 900
    write_image(
        tmp_path / "i.zarr",
        image.shape,
        "uint16",
        lambda box: image[box.slices],
        axes="yx",
        scale=(0.5, 0.5),
        units=("micrometer", "micrometer"),
    )
    saved = str(tmp_path / "run.json")
    command = ["segment", path, "--tile", "16", "--set", "smoothing=0", "--set", "value=500", "--quiet"]
    assert main([*command, "--min-size", "10 um2", "--save-spec", saved]) == 0
    assert open_labels(f"{path}/labels/labels")[0][:].astype(bool).sum() == 100
    again = ["--name", "small", "--max-size", "30", "--min-size", "0", "--drop-border", "--quiet"]
    assert main(["segment", "--spec", saved, *again, "--plan"]) == 0
    assert "objects over 30 voxels or at the border are removed" in capsys.readouterr().out
    assert main(["segment", "--spec", saved, *again]) == 0
    assert np.argwhere(open_labels(f"{path}/labels/small")[0][:]).min(0).tolist() == [5, 5]
    assert main([*command, "--min-size", "10 um3", "--overwrite"]) == 2
    assert "--min-size: '10 um3' is a volume" in capsys.readouterr().err
    assert image_info(path).labels == ("labels", "small")
