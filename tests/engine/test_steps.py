"""Steps after a method: tiles give what the whole image gives, after any chain of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from skimage.segmentation import expand_labels

import seamlabel
from seamlabel.cli import main
from seamlabel.engine.label_steps import changed
from seamlabel.engine.whole import whole_image_labels
from seamlabel.errors import SpecError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels, open_source
from seamlabel.steps import Step, as_steps
from seamlabel.testing import compare
from seamlabel.testing.cells import Tissue

PIXELS = {
    "yx": np.ascontiguousarray(Tissue((300, 340), "dense", seed=3, diameter=20).image()),
    "zyx": np.ascontiguousarray(Tissue((24, 90, 100), "dense", seed=4, diameter=14).image()),
}


def store(path, axes, scale):
    pixels = PIXELS[axes]
    shape, dtype = pixels.shape, str(pixels.dtype)
    about = {"axes": axes, "scale": scale, "units": ["micrometer"] * len(axes), "levels": 1}
    write_image(path, shape, dtype, lambda box: pixels[box.slices], **about)
    return str(path)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    return {
        "flat": store(folder / "flat.zarr", "yx", (0.5, 0.5)),
        "thick": store(folder / "thick.zarr", "zyx", (0.5, 0.25, 0.25)),
    }


def lengths(name):
    return {"expand": (1, 2.5, 4), "shrink": (1, 2), "smooth": (0.7, 1.5)}[name]


one_step = st.sampled_from(["expand", "shrink", "smooth"]).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(lengths(name)))
)


@settings(max_examples=10)
@given(
    which=st.sampled_from(["flat", "flat", "thick"]),
    split=st.sampled_from([False, False, True]),
    rest=st.lists(one_step, min_size=1, max_size=3),
    tile=st.integers(50, 90),
    method=st.sampled_from([("threshold", {"smoothing": 1.0}), ("watershed", {"diameter": 14.0})]),
)
def test_tiles_after_steps_give_the_labels_of_the_whole_image(stores, which, split, rest, tile, method):
    (backend, params), image = method, stores[which]
    steps = [("split", {"flat": 20, "thick": 14}[which])] * split + rest
    result = seamlabel.segment(
        image, backend, params=params, steps=steps, tile_shape=tile, output=f"{image}.out.zarr",
        overwrite=True, progress=False,
    )  # fmt: skip
    whole = whole_image_labels(result.plan, open_source(image, image_info(image), 0, ()))
    report = compare(np.asarray(open_labels(result.path)[0]), whole)
    assert report.identical == report.n_a == report.n_b == result.n_objects


def test_distances_follow_the_scale_and_lengths_may_have_units(stores):
    spec = seamlabel.RunSpec(image=stores["thick"], steps={"expand": "1 um", "shrink": 2})
    plan = seamlabel.resolve(spec, image_info(stores["thick"]))
    assert plan.steps == (Step("expand", 4.0), Step("shrink", 2.0))
    labels = np.zeros((9, 21, 21), int)
    labels[4, 10, 10] = 1
    grown = changed(labels, plan.steps[:1], (2, 1, 1))
    assert [np.ptp(where) for where in np.nonzero(grown)] == [4, 8, 8]


def test_the_overlap_grows_with_what_splitting_looks_at_and_nothing_else(stores):
    info = image_info(stores["flat"])
    bare, more = (
        seamlabel.resolve(seamlabel.RunSpec(image=stores["flat"], tile_shape=64, steps=steps), info)
        for steps in ("expand=3", "split=10,expand=3")
    )
    assert more.radius == bare.radius + 21
    assert more.grid.overlap[0] == bare.grid.overlap[0] + 21
    assert "then split=10, expand=3" in more.summary()


def test_touching_objects_are_split():
    y, x = np.ogrid[:60, :100]
    two = ((y - 30) ** 2 + (x - 30) ** 2 < 400) | ((y - 30) ** 2 + (x - 66) ** 2 < 400)
    parts = changed(two.astype(int), (Step("split", 36),), (1, 1))
    assert parts.max() == 2
    assert parts[30, 30] != parts[30, 66]
    assert ((parts > 0) == two).all()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("expnd=3", "there is no step 'expnd'"),
        ("expand=-1", "out of range"),
        ("expand=much", "not a size"),
        ("expand=3 um2", "not a length"),
        ([3], "is not a step"),
        (7, "not a list of steps"),
        ("expand=2000", "out of range"),
        ("expand=9 mm", "voxels"),
        ("expand=3,split=10", "'split' comes first"),
    ],
)
def test_steps_that_cannot_be_done_are_told_before_any_work(stores, steps, message):
    with pytest.raises(SpecError, match=message) as refused:
        seamlabel.segment(stores["flat"], steps=steps, progress=False)
    assert refused.value.problems[0].field == "steps"
    assert refused.value.problems[0].fix


def test_lengths_with_units_need_an_image_that_has_them():
    with pytest.raises(SpecError, match="no unit of length"):
        seamlabel.segment(PIXELS["yx"], steps="expand=1 um", progress=False)


def test_all_ways_to_write_steps_mean_the_same():
    expected = ("expand=3", "smooth=1.5")
    for way in ("expand=3, smooth=1.5", ["expand", "smooth=1.5"], [("expand", 3.0), ("smooth", 1.5)]):
        assert as_steps(way) == expected
    assert as_steps({"expand": "3", "smooth": 1.5}) == expected
    assert as_steps(as_steps({"expand": "1.50 um"})) == ("expand=1.50 um",)


def test_the_command_line_takes_steps(stores, capsys):
    asked = ["segment", stores["flat"], "--steps", "expand=2,smooth=1", "--name", "cli", "--quiet"]
    assert main(asked) == 0
    result = seamlabel.segment(
        stores["flat"], steps=["expand=2", "smooth=1"], name="api", progress=False, overwrite=True
    )
    path = result.path.replace("/api", "/cli")
    np.testing.assert_array_equal(open_labels(path)[0][...], open_labels(result.path)[0][...])
    assert main(["segment", stores["flat"], "--steps", "grow=2"]) == 2
    assert "--steps" in capsys.readouterr().err


def test_objects_are_counted_and_measured_as_they_are_in_the_end(stores):
    asked = {"tile_shape": 64, "table": True, "progress": False, "params": {"smoothing": 1.0}}
    before = seamlabel.segment(stores["thick"], name="before", **asked)
    after = seamlabel.segment(stores["thick"], name="after", steps="shrink=4", **asked)
    assert 0 < after.n_objects < before.n_objects
    labels = np.asarray(after.labels)
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    assert after.n_objects == len(ids)
    np.testing.assert_array_equal(after.table["id"], ids)
    np.testing.assert_array_equal(after.table["area_voxels"], counts)


def test_sizes_and_holes_are_judged_before_objects_grow(stores):
    asked = {"tile_shape": 64, "fill_holes": True, "min_size": 150, "progress": False}
    bare = seamlabel.segment(stores["flat"], name="bare", **asked)
    grown = seamlabel.segment(stores["flat"], name="grown", steps="expand=5", **asked)
    assert grown.n_objects == bare.n_objects
    inside = np.asarray(bare.labels) > 0
    np.testing.assert_array_equal(np.asarray(grown.labels)[inside], np.asarray(bare.labels)[inside])


def test_a_movie_and_planes_are_changed_picture_by_picture():
    movie = np.stack([PIXELS["yx"][:120, :150], PIXELS["yx"][100:220, 100:250]])
    alone = [
        seamlabel.segment(one, steps="expand=3", progress=False, params={"value": 2500.0}) for one in movie
    ]
    for axes, planes in (("tyx", False), ("zyx", True)):
        result = seamlabel.segment(
            movie, axes=axes, planes=planes, steps="expand=3", progress=False, tile_shape=64,
            params={"value": 2500.0},
        )  # fmt: skip
        for one, other in zip(np.asarray(result.labels), alone, strict=True):
            assert compare(one, np.asarray(other.labels)).identical == other.n_objects


def test_a_kept_run_is_merged_again_with_its_steps(stores):
    asked = {"steps": "expand=3", "tile_shape": 64, "progress": False}
    result = seamlabel.segment(stores["flat"], name="kept", keep=True, **asked)
    again = seamlabel.remerge(result.run_dir, min_size=400, progress=False, overwrite=True)
    fresh = seamlabel.segment(stores["flat"], name="fresh", min_size=400, **asked)
    assert again.n_objects == fresh.n_objects < result.n_objects
    np.testing.assert_array_equal(np.asarray(again.labels), np.asarray(fresh.labels))


def test_a_run_does_not_go_on_with_other_steps(stores):
    def stop(event):
        if type(event).__name__ == "TileDone":
            raise KeyboardInterrupt

    asked = {"tile_shape": 64, "name": "stopped", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(stores["flat"], steps="expand=2", on_event=stop, **asked)
    with pytest.raises(seamlabel.SeamlabelError, match="steps"):
        seamlabel.segment(stores["flat"], steps="expand=3", **asked)


@pytest.mark.parametrize("skip_empty", [None, 50.0])
def test_objects_grow_into_tiles_and_chunks_that_have_none(skip_empty):
    pixels = np.zeros((1300, 1300), "uint16")
    pixels[500:511, 505:512] = pixels[1020:1026, 1018:1023] = 100
    result = seamlabel.segment(
        pixels, "threshold", params={"value": 50.0, "smoothing": 0.0}, tile_shape=256, overlap=8,
        steps="expand=9", skip_empty=skip_empty, table=True, progress=False,
    )  # fmt: skip
    expected = expand_labels(label(pixels > 50)[0], 9)
    report = compare(np.asarray(result.labels), expected)
    assert report.identical == report.n_a == report.n_b == 2
    assert result.table["area_voxels"].sum() == np.count_nonzero(expected)
