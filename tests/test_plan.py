import os
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel import RunSpec, SpecError, resolve
from seamlabel.axes import Axis, ImageInfo, LevelInfo, parse_axes
from seamlabel.engine.paint import paint_layout
from seamlabel.registry import Backend, register


@dataclass(frozen=True)
class Nothing:
    """Parameters of a backend that says nothing about its reach."""


register(Backend("silent", "Silent", f"{__name__}:Nothing", f"{__name__}:Nothing", max_channels=None))
register(
    Backend(
        "absent", "Absent", f"{__name__}:Nothing", "x:y", needs=("no_such_module",), install="pip install it"
    )
)


def image(axes="yx", shape=(4096, 4096), chunks=None, **fields):
    chunks = chunks or tuple(min(n, 512) for n in shape)
    level = LevelInfo("0", shape, chunks, (1.0,) * len(shape), (0.0,) * len(shape))
    count = shape[axes.index("c")] if "c" in axes else 0
    base = ImageInfo(
        parse_axes(axes),
        "uint16",
        (level,),
        tuple(f"ch{i}" for i in range(count)),
        path="i.zarr",
        writable=True,
    )
    return replace(base, **fields)


def plan(info=None, memory_bytes=8 * 10**9, cores=2, **fields):
    fields = {"image": "i.zarr", "backend": "threshold", **fields}
    return resolve(RunSpec(**fields), info or image(), memory_bytes=memory_bytes, cores=cores)


def problems(info=None, **fields):
    with pytest.raises(SpecError) as caught:
        plan(info, **fields)
    return {p.field: str(p) for p in caught.value.problems}


def test_auto_is_a_number_afterwards():
    made = plan()
    assert made.grid.tile_shape == (1024, 1024)
    assert made.grid.overlap == (5, 5)  # the reach of a blur of 1, and 1 of evidence
    assert made.workers == 2
    assert made.run_dir == os.path.abspath("i.zarr.seamlabel/labels")


@given(
    shape=st.lists(st.integers(1, 5000), min_size=1, max_size=3),
    chunk=st.integers(1, 3000),
    gigabytes=st.floats(0.05, 64),
)
def test_auto_fits_the_memory_whatever_the_image(shape, chunk, gigabytes):
    axes = "zyx"[-len(shape) :]
    info = image(axes, tuple(shape), (chunk,) * len(shape))
    memory = int(gigabytes * 10**9)
    made = plan(info, memory_bytes=memory)
    assert made.workers * made.tile_bytes <= memory
    assert all(1 <= t <= n for t, n in zip(made.grid.tile_shape, shape, strict=True))


def test_auto_tiles_are_made_of_whole_chunks():
    made = plan(image(shape=(20000, 20000), chunks=(300, 700)))
    assert made.grid.tile_shape == (900, 700)


def test_auto_tiles_grow_where_most_of_the_work_would_be_overlap():
    volume = image("zyx", (300, 2000, 2000), (32, 256, 256))
    small = plan(volume, overlap=(8, 8, 8), memory_bytes=16 * 10**9).grid
    large = plan(volume, overlap=(60, 60, 60), memory_bytes=16 * 10**9)
    assert all(a <= b for a, b in zip(small.tile_shape, large.grid.tile_shape, strict=True))
    assert large.overread < 2.5
    assert large.workers == 2


def test_time_is_never_tiled_or_overlapped():
    made = plan(image("tzyx", (5, 40, 600, 600)), tile_shape=(20, 300, 300), overlap=8)
    assert made.grid.tile_shape == (1, 20, 300, 300)
    assert made.grid.overlap == (0, 8, 8, 8)
    assert made.joined == (False, True, True, True)


def test_overlap_is_taken_per_axis_and_by_name():
    volume = image("zyx", (64, 512, 512))
    assert plan(volume, tile_shape=32, overlap=(2, 8, 16)).grid.overlap == (2, 8, 16)
    assert plan(volume, tile_shape=32, overlap={"x": 9, "y": 7, "z": 3}).grid.overlap == (3, 7, 9)


def test_a_single_overlap_is_capped_at_the_tile_and_the_plan_says_so():
    made = plan(image("zyx", (64, 512, 512)), tile_shape=(8, 128, 128), overlap=16)
    assert made.grid.overlap == (8, 16, 16)
    assert "capped" in made.warnings[0]


def test_tiles_always_overlap_enough_to_tell_what_is_one_object():
    made = plan(overlap=0, tile_shape=1024)
    assert made.grid.overlap == (2, 2)
    assert "at least" in made.warnings[0]
    assert plan(overlap=0, tile_shape=1024, merge="touching").grid.overlap == (0, 0)


def test_small_objects_are_the_engines_to_remove():
    made = plan(params={"min_size": 50})
    assert made.min_size == 50
    assert made.params.min_size == 0
    assert plan(params={"min_size": 50}, min_size=80).min_size == 80


def test_memory_limits_the_workers():
    one = plan(cores=64, tile_shape=1024)
    assert one.workers == 16  # as many as there are tiles
    assert plan(cores=64, tile_shape=1024, memory_bytes=3 * one.tile_bytes).workers == 3


def test_a_tile_that_memory_does_not_hold_is_refused_with_one_that_it_does():
    told = problems(tile_shape=4096, memory_bytes=100_000_000)
    assert "free" in told["tile_shape"]
    size = int(told["tile_shape"].split("about ")[1].split(",")[0])
    assert plan(tile_shape=size, memory_bytes=100_000_000).workers >= 1


def test_everything_wrong_is_told_at_once_by_field():
    told = problems(
        image("cyx", (3, 64, 64), labels=("labels",)),
        backend="tresh",
        level=4,
        channels=["red"],
    )
    assert set(told) == {"backend", "level", "channels", "name"}
    assert "Did you mean 'threshold'?" in told["backend"]
    assert "levels 0 to 0" in told["level"]
    assert "0 'ch0'" in told["channels"]
    assert "overwrite" in told["name"]


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"params": {"smoothin": 1}}, "params.smoothin", "Did you mean 'smoothing'?"),
        ({"params": {"smoothing": -1}}, "params.smoothing", "Use 0"),
        ({"params": {"smoothing": "much"}}, "params.smoothing", "float"),
        ({"params": {"min_size": 2.5}}, "params.min_size", "int"),
        ({"overlap": (1, 2, 3)}, "overlap", "one each for y, x"),
        ({"overlap": {"z": 3}}, "overlap", "The image has y, x"),
        ({"tile_shape": (8,)}, "tile_shape", "one each for y, x"),
        ({"channels": [0]}, "channels", "no channel axis"),
        ({"backend": "absent"}, "backend", "pip install it"),
        ({"backend": "function"}, "params.target", "needs a value"),
    ],
)
def test_problems_name_the_field_and_the_mend(fields, field, says):
    assert says in problems(**fields)[field]


def test_an_image_without_space_axes_is_refused():
    info = image("tc", (5, 2))
    assert "no space axis" in problems(info, channels=[0])["image"]


def test_an_axis_of_no_known_kind_is_refused():
    info = image("yx", (8, 8))
    info = replace(info, axes=(Axis("q", "phase"), Axis("x", "space")))
    assert "neither space" in problems(info)["image"]


def test_labels_go_elsewhere_where_the_image_cannot_be_written():
    info = image(writable=False)
    assert "output of its own" in problems(info)["output"]


def test_one_of_several_channels_must_be_chosen():
    info = image("cyx", (2, 64, 64))
    assert "0 'ch0', 1 'ch1'" in problems(info)["channels"]
    assert "takes 1" in problems(info, channels=[0, 1])["channels"]
    assert plan(info, channels=["ch1"]).channels == (1,)
    assert plan(info, channels=[1, 0], backend="silent").channels == (1, 0)
    assert plan(image("cyx", (1, 64, 64))).channels == (0,)


def test_auto_overlap_stays_what_makes_the_merge_exact_on_thin_tiles():
    made = plan(image("zyx", (24, 80, 80)), tile_shape=(2, 40, 40))
    assert made.grid.overlap == (5, 5, 5)
    short = plan(image("zyx", (24, 80, 80)), tile_shape=(12, 40, 40), overlap=4)
    assert any("less than an overlap of 5 labels" in warning for warning in short.warnings)


def test_dark_objects_and_empty_tiles_do_not_go_together():
    assert "dark" in problems(params={"dark": True}, skip_empty="otsu")["skip_empty"]


@given(
    shape=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    factors=st.lists(st.floats(1.1, 9), min_size=1, max_size=4),
)
def test_blocks_are_made_of_whole_chunks_on_every_level(shape, factors):
    shapes = [shape]
    for factor in factors:
        shapes.append(tuple(max(1, round(n / factor)) for n in shapes[-1]))
    layout = paint_layout(tuple(shapes), (True, True))
    for k in range(len(shapes)):
        sides = zip(shapes[k], layout.blocks[k], layout.chunks[k], strict=True)
        assert all(b % c == 0 or b >= n for n, b, c in sides)
        base = 0 if k < layout.n_first else k
        assert all(
            c * b >= n for c, b, n in zip(layout.counts(base), layout.blocks[k], shapes[k], strict=True)
        )


def test_the_summary_says_what_will_be_done():
    text = plan(tile_shape=1000, overlap=20).summary()
    for part in ("yx 4096 x 4096", "5 x 5 = 25", "y=1000 x=1000", "overlap y=20 x=20", "labels/labels", "MB"):
        assert part in text


def test_a_huge_image_is_planned_without_a_list_of_tiles():
    made = plan(image(shape=(5_000_000, 5_000_000)))
    assert len(made.grid) > 20_000_000
