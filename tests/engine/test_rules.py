"""Rules that judge seams: faces, and functions of the user's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from truths import cut

import seamlabel
from seamlabel import MergeSpec, RunSpec, SpecError, TileGrid, merge_labels, resolve
from seamlabel.cli import main
from seamlabel.engine.rules import seam_rule
from seamlabel.io.sources import image_info
from seamlabel.testing import same_partition
from seamlabel.testing.strategies import images_and_grids

SIDES = {1: 50, 2: 24, 3: 12}


@st.composite
def boxes(draw):
    """Boxes in rows, a voxel apart, some missing: alike faces, but never across a gap."""
    ndim = draw(st.integers(1, 3))
    shape = draw(st.tuples(*[st.integers(2, SIDES[ndim])] * ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bricks = TileGrid(shape, draw(st.tuples(*[st.integers(2, 9)] * ndim)), (0,) * ndim)
    labels = np.zeros(shape, int)
    for brick in bricks:
        inner = tuple(slice(s.start, s.stop - 1) for s in brick.core.slices)
        labels[inner] = (brick.number + 1) * int(rng.random() < 0.8)
    return labels


@st.composite
def balls(draw):
    """Balls apart from one another."""
    ndim = draw(st.integers(1, 3))
    shape = draw(st.tuples(*[st.integers(6, SIDES[ndim])] * ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels, at = np.zeros(shape, int), np.indices(shape).astype(float)
    for number in range(1, 12):
        centre = rng.uniform(0, np.array(shape))
        ball = sum((x - c) ** 2 for x, c in zip(at, centre, strict=True)) <= rng.uniform(1, 5) ** 2
        if not ndimage.binary_dilation(ball, np.ones((3,) * ndim))[labels > 0].any():
            labels[ball] = number
    return labels


def coreless(data, shape):
    tile = data.draw(st.tuples(*[st.integers(2, 9)] * len(shape)))
    return TileGrid(shape, tile, (0,) * len(shape))


@settings(max_examples=120, deadline=None)
@given(data=st.data(), labels=boxes(), least=st.sampled_from([0.2, 0.7, 1.0]))
def test_faces_of_boxes_without_overlap_tell_what_is_one_object(data, labels, least):
    grid = coreless(data, labels.shape)
    merged = merge_labels(cut(labels, grid), grid, merge=MergeSpec(rule="face", iou=least))
    assert same_partition(merged, labels)
    assert sorted(np.unique(merged[merged > 0])) == list(range(1, int(merged.max()) + 1))


@settings(max_examples=120, deadline=None)
@given(data=st.data(), labels=balls())
def test_faces_of_round_objects_without_overlap_tell_what_is_one_object(data, labels):
    grid = coreless(data, labels.shape)
    merged = merge_labels(cut(labels, grid), grid, merge=MergeSpec(rule="face", iou=0.01))
    assert same_partition(merged, labels)


def test_unlike_faces_are_two_objects():
    labels = np.zeros((8, 8), int)
    labels[1:7, :4], labels[6:8, 4:] = 1, 2
    grid = TileGrid((8, 8), (8, 4), (0, 0))
    assert merge_labels(cut(labels, grid), grid, merge="face").max() == 2
    assert merge_labels(cut(labels, grid), grid, merge="touching").max() == 1


def test_a_plan_for_faces_adds_no_overlap():
    plan = resolve(RunSpec(merge="face", tile_shape=8, overlap=0), image_info(np.zeros((32, 32), np.uint8)))
    assert plan.grid.overlap == (0, 0)
    assert "face of at least 0.2" in plan.summary()
    plan = resolve(RunSpec(merge="mine.py:f", tile_shape=8, overlap=0), plan.info)
    assert plan.grid.overlap == (2, 2)
    assert "merge    mine.py:f" in plan.summary()


@pytest.mark.parametrize("connectivity", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_touching_counts_faces_edges_and_corners(connectivity, steps):
    """Two voxels that differ along so many axes, on both sides of tile borders."""
    mask = np.zeros((4, 4, 4), int)
    mask[1, 1, 1] = mask[1 + (steps > 2), 1 + (steps > 1), 2] = 1
    grid = TileGrid(mask.shape, (2, 2, 2), (0, 0, 0))
    structure = ndimage.generate_binary_structure(3, connectivity)
    tiles = [ndimage.label(mask[tile.read.slices], structure)[0] for tile in grid]
    merged = merge_labels(tiles, grid, merge=MergeSpec(rule="touching", connectivity=connectivity))
    assert merged.max() == (1 if steps <= connectivity else 2)


@settings(max_examples=60, deadline=None)
@given(drawn=images_and_grids(), least=st.sampled_from([0.1, 0.25, 0.5, 1.0]), seed=st.integers(0, 99))
def test_a_rule_of_ones_own_that_is_iou_gives_the_labels_of_iou(drawn, least, seed):
    labels, grid = drawn
    grid = TileGrid(grid.shape, grid.tile_shape, tuple(h + 1 for h in grid.overlap))
    rng = np.random.default_rng(seed)
    tiles = [np.where(rng.random(t.shape) < 0.9, t, 0) for t in cut(labels, grid)]  # tiles that differ

    def rule(common, one, other):
        return common >= least * (one + other - common)

    own = merge_labels(tiles, grid, merge=rule)
    assert np.array_equal(own, merge_labels(tiles, grid, merge=MergeSpec(iou=least)))


def always(common, one, other):
    return common > 0


def test_a_rule_is_found_by_file_and_by_module(tmp_path):
    file = tmp_path / "rules.py"
    file.write_text("def half(common, one, other):\n    return 2 * common >= one\n")
    for name in (f"{file}:half", f"{__name__}:always"):
        assert seam_rule(MergeSpec(rule=name))(*np.full((3, 2), 4)).tolist() == [True, True]


def test_a_run_is_judged_by_a_function():
    image = np.zeros((16, 16), np.uint8)
    image[4:12, 2:14] = 9
    label = lambda tile: ndimage.label(tile > 3)[0]  # noqa: E731
    same = {"tile_shape": 8, "overlap": 2, "progress": False}
    never = lambda common, one, other: np.zeros(len(common), bool)  # noqa: E731
    assert seamlabel.segment(image, label, merge=always, **same).n_objects == 1
    apart = seamlabel.segment(image, label, merge=never, **same)
    assert apart.n_objects == 4
    assert apart.plan.spec.merge.rule == f"{__name__}:lambda"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda common, one: common > 0, "raised TypeError"),
        (lambda common, one, other: True, "returned True, which is no array"),
        (lambda common, one, other: common / one, "returned float64, not bool"),
        (
            lambda common, one, other: (common > 0)[:, None],
            r"returned an array of shape \(3, 1\) for 3 pairs",
        ),
        (lambda common, one, other: common >= common.max(), "raised ValueError"),  # of no pairs
    ],
)
def test_a_rule_that_cannot_be_used_is_told_before_any_work(rule, says):
    grid = TileGrid((8, 8), (4, 8), (1, 0))
    with pytest.raises(SpecError, match=f"merge.rule: .*{says}"):
        merge_labels([np.ones(tile.read.shape, int) for tile in grid], grid, merge=rule)
    segmented = []
    with pytest.raises(SpecError, match=says):
        seamlabel.segment(np.zeros((8, 8)), segmented.append, merge=rule, overlap=1, progress=False)
    assert not segmented


def test_the_command_line_takes_a_rule_from_a_file(tmp_path, capsys):
    image, file = str(tmp_path / "i.zarr"), tmp_path / "rules.py"
    file.write_text("def half(common, one, other):\n    return 2 * common >= one\n")
    assert main(["sample", image, "--shape", "300,300"]) == 0
    assert main(["segment", image, "--tile", "128", "--merge", f"{file}:half", "--quiet"]) == 0
    assert main(["segment", image, "--merge", f"{file}:none", "--overwrite", "--quiet"]) == 2
    assert "--merge: " in (err := capsys.readouterr().err)
    assert "It has: half" in err
    assert main(["segment", image, "--merge", "glue"]) == 2


@pytest.mark.parametrize("merge", [MergeSpec(rule="touching", iou=0.5), {"rule": "mine.py:f", "iou": 0.3}])
def test_a_threshold_is_refused_where_the_rule_has_none(merge):
    with pytest.raises(SpecError, match=r"merge\.iou: the rule '.*' has no such threshold"):
        seamlabel.segment(np.zeros((8, 8)), merge=merge, progress=False)
    with pytest.raises(SpecError, match=r"merge\.iou: the rule '.*' has no such threshold"):
        merge_labels([np.ones((8, 8), int)], TileGrid((8, 8), (8, 8), (0, 0)), merge=merge)


def test_a_spec_without_a_threshold_of_its_own_passes_also_after_json():
    spec = RunSpec.from_json(RunSpec(merge="touching").to_json())
    tiles = [np.ones((8, 8), int)]
    assert merge_labels(tiles, TileGrid((8, 8), (8, 8), (0, 0)), merge=spec.merge).max() == 1


def test_the_command_line_refuses_a_threshold_where_the_rule_has_none(tmp_path, capsys):
    image, file, run = str(tmp_path / "i.zarr"), tmp_path / "rules.py", str(tmp_path / "run.json")
    file.write_text("def half(common, one, other):\n    return 2 * common >= one\n")
    assert main(["sample", image, "--shape", "300,300"]) == 0
    for rule, iou in (("touching", "0.5"), ("touching", "0.2"), (f"{file}:half", "0.3")):
        assert main(["segment", image, "--merge", rule, "--iou", iou, "--plan"]) == 2
        assert f"--iou: the rule '{rule}' has no such threshold" in capsys.readouterr().err
    assert main(["segment", image, "--merge", "face", "--iou", "0.5", "--plan", "--save-spec", run]) == 0
    assert main(["segment", "--spec", run, "--merge", "touching", "--plan"]) == 0  # the file's is left over
    assert main(["segment", "--spec", run, "--merge", "touching", "--iou", "0.5", "--plan"]) == 2
