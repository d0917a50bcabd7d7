"""Images behind one `Source`: the same pixels from a store, numpy, zarr and dask."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from itertools import permutations

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from seamlabel import RunSpec, resolve
from seamlabel.axes import parse_axes
from seamlabel.errors import ImageError, OutputError
from seamlabel.geometry import Box
from seamlabel.io import boxes, sources
from seamlabel.io.ahead import ReadAhead
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import image_info, open_labels, open_source

SIZES = {"t": 2, "c": 3, "z": 4, "y": 20, "x": 30}
PIXELS = np.random.default_rng(0).integers(0, 60000, tuple(SIZES.values()), dtype="uint16")


def source_of(image, axes, channels):
    return open_source(image, image_info(image, axes=axes), 0, channels)


@pytest.mark.parametrize("channels", [(0,), (2,), (0, 1), (2, 0), (0, 2)])
@pytest.mark.parametrize("axes", ["tczyx", "tzcyx", "czyx", "yxc", "cyx", "xyczt", "cty"])
def test_a_box_gives_the_chosen_channels_in_front_of_the_space_axes(axes, channels):
    full = PIXELS[tuple(slice(None) if a in axes else 0 for a in "tczyx")]
    order = [a for a in "tczyx" if a in axes]
    image = full.transpose([order.index(a) for a in axes])
    kept = [a for a in axes if a != "c"]
    box = Box(tuple(1 for _ in kept), tuple(2 if a == "t" else SIZES[a] - 1 for a in kept))
    got = source_of(image, axes, channels).read(box)

    cut = image[tuple(slice(None) if a == "c" else 1 if a == "t" else slice(1, SIZES[a] - 1) for a in axes)]
    left = [a for a in axes if a != "t"]
    expected = np.moveaxis(cut, left.index("c"), 0)[list(channels)]
    expected = expected[0] if len(channels) == 1 else expected
    assert got.flags.c_contiguous
    assert got.dtype == "uint16"
    assert np.array_equal(got, expected)


def test_an_image_without_channels_gives_its_space_axes():
    source = source_of(PIXELS[0, 0], None, ())
    assert np.array_equal(source.read(Box((1, 2, 3), (3, 9, 20))), PIXELS[0, 0, 1:3, 2:9, 3:20])
    assert np.array_equal(source.sample(0), PIXELS[0, 0].ravel())


@pytest.mark.parametrize("kind", ["numpy", "zarr", "dask", "big endian", "fortran", "store"])
def test_every_kind_of_array_gives_the_same_native_pixels(bench, kind):
    pixels = np.arange(45 * 61, dtype="uint16").reshape(45, 61)
    image = {
        "numpy": lambda: pixels,
        "zarr": lambda: zarr.array(pixels, chunks=(16, 16)),
        "dask": lambda: da.from_array(pixels, chunks=(16, 16)) + 0,
        "big endian": lambda: pixels.astype(">u2"),
        "fortran": lambda: np.asfortranarray(pixels),
        "store": lambda: bench.image("yx", "0.4"),
    }[kind]()
    info = image_info(image)
    assert info.dtype == "uint16"
    assert info.chunks == ((16, 16) if kind in ("zarr", "dask", "store") else (45, 61))
    got = open_source(image, info, 0, ()).read(Box((3, 5), (40, 61)))
    assert type(got) is np.ndarray
    assert got.dtype.isnative
    assert got.flags.c_contiguous
    assert np.array_equal(got, pixels[3:40, 5:])


def test_a_segmenter_that_works_in_place_leaves_the_users_array_alone():
    for image in (np.ones((20, 30)), da.from_array(np.ones((20, 30)), chunks=(20, 30))):
        source = source_of(image, None, ())
        tile = source.read(Box((0, 0), (20, 30)))
        tile += 1
        assert (source.read(Box((0, 0), (20, 30))) == 1).all()


def test_dask_computes_in_the_calling_thread():
    import threading

    seen = []

    def note(block):
        seen.append(threading.get_ident())
        return block

    image = da.ones((40, 40), chunks=(10, 10)).map_blocks(note, dtype=float, meta=np.empty((0, 0)))
    source_of(image, None, ()).read(Box((0, 0), (40, 40)))
    assert set(seen) == {threading.get_ident()}


def test_a_path_is_read_without_importing_dask(bench):
    path = bench.image()
    code = (
        "import sys; from seamlabel.io.sources import *; from seamlabel.geometry import Box;"
        f"p = {str(path)!r}; open_source(p, image_info(p), 0, ()).read(Box((0, 0), (9, 9)));"
        "sys.exit('dask' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_another_level_is_read_in_its_own_voxels(bench):
    path = bench.image("tcyx")
    source = open_source(path, image_info(path), 1, (1,))
    expected = open_image(path).arrays[1][1, 1, 2:20, 3:30]
    assert np.array_equal(source.read(Box((1, 2, 3), (2, 20, 30))), expected)


def test_a_sample_is_the_finest_level_that_is_small_enough(bench, monkeypatch):
    path = bench.image("tcyx")
    info = image_info(path)
    fine, coarse = (np.asarray(array[:, 2]).ravel() for array in open_image(path).arrays)
    assert np.array_equal(open_source(path, info, 0, (0,)).sample(2), fine)
    assert np.array_equal(open_source(path, info, 1, (0,)).sample(2), coarse)
    monkeypatch.setattr(sources, "SAMPLE_VOXELS", coarse.size)
    assert np.array_equal(open_source(path, info, 0, (0,)).sample(2), coarse)


def test_a_sample_of_a_huge_level_is_spread_evenly_and_always_the_same(monkeypatch):
    monkeypatch.setattr(sources, "SAMPLE_VOXELS", 64 * 64)  # equal steps would hit one column only
    rows, columns = np.mgrid[:512, :512]
    for values in (rows, columns):
        image = zarr.array(values.astype("float32"), chunks=(8, 8))
        source = source_of(image, None, ())
        sample = source.sample(0)
        assert 0.8 * 4096 <= sample.size <= 4096
        assert np.array_equal(sample, source.sample(0))
        counts = np.histogram(sample, 4, (0, 512))[0]
        assert counts.min() > 0.15 * sample.size


def test_a_sample_does_not_need_chunks(monkeypatch):
    monkeypatch.setattr(sources, "SAMPLE_VOXELS", 1000)
    monkeypatch.setattr(boxes, "_PIECE_VOXELS", 100)
    assert 800 <= source_of(np.ones((200, 300)), None, ()).sample(0).size <= 1000


@pytest.mark.parametrize("ndim", [0, 4, 5])
def test_arrays_of_many_dimensions_need_axes(ndim):
    with pytest.raises(ImageError) as caught:
        image_info(np.zeros((2,) * ndim))
    assert "tczyx" in caught.value.hint


def test_arrays_are_described_by_their_axes():
    info = image_info(PIXELS, axes="tczyx")
    assert (info.names, info.channels, info.writable, info.path) == ("tczyx", ("0", "1", "2"), False, None)
    for shape, names in (((3,), "x"), ((3, 3), "yx"), ((3, 3, 3), "zyx")):
        assert image_info(np.zeros(shape)).names == names
    with pytest.raises(ImageError, match="not numbers"):
        image_info(np.array([["a"]]))
    with pytest.raises(ImageError, match="neither"):
        image_info([[1, 2]])
    for wrong in ("yy", "y", "zyx"):
        with pytest.raises(ImageError):
            image_info(np.zeros((3, 3)), axes=wrong)


def test_capital_letters_name_the_same_axes_and_others_are_refused():
    assert image_info(np.zeros((2, 3, 3)), axes="TYX") == image_info(np.zeros((2, 3, 3)), axes="tyx")
    with pytest.raises(ImageError, match="'syx'") as caught:
        image_info(np.zeros((2, 3, 3)), axes="syx")
    assert "t, c, z, y, x" in caught.value.hint


def test_axes_of_a_store_are_its_own(bench):
    path = bench.image("yx")
    assert image_info(path, axes="yx").names == image_info(path, axes="YX").names == "yx"
    with pytest.raises(ImageError, match="has axes 'yx'"):
        image_info(path, axes="xy")


def test_labels_and_writable_are_those_of_the_output(bench, tmp_path):
    image = bench.image()
    bench.commit(bench.plan(image, "mine"))
    assert image_info(image).labels == ("mine",)
    new = image_info(image, output=tmp_path / "a" / "b.zarr")
    assert (new.labels, new.writable, new.path) == ((), True, str(image))
    (tmp_path / "taken").mkdir()
    assert image_info(image, output=tmp_path / "taken").writable
    (tmp_path / "taken" / "file").touch()
    assert not image_info(image, output=tmp_path / "taken").writable
    assert not image_info(image, output=tmp_path / "taken" / "file" / "b.zarr").writable


def test_an_image_of_another_shape_is_no_output(bench):
    image, other = bench.image("czyx"), bench.image("tczyx", name="other.zarr")
    with pytest.raises(OutputError, match=r"\(2, 5, 45, 61\).*\(5, 45, 61\)") as caught:
        image_info(image, output=other)
    assert "another output" in caught.value.hint
    assert image_info(image, output=bench.image("zyx", name="same.zarr")).writable
    assert image_info(image, output=image).writable


def test_an_image_that_changed_since_planning_is_refused(bench):
    image = bench.image()
    with pytest.raises(ImageError, match="planned with"):
        open_source(image, image_info(np.zeros((3, 3))), 0, ())


def test_labels_are_opened_lazily_and_read_only(bench):
    label = bench.commit(bench.plan(bench.image("zyx")))
    levels = open_labels(label)
    assert [(a.shape, a.ndim, a.dtype.name) for a in levels] == [
        ((5, 45, 61), 3, "uint32"),
        ((5, 23, 31), 3, "uint32"),
    ]
    assert levels[0].chunks == (5, 16, 16)
    assert np.asarray(levels[0]).shape == (5, 45, 61)
    assert (levels[1][1:2, 3] == 7).all()
    with pytest.raises(ValueError, match="read-only"):
        levels[0][0] = 1


def test_an_axis_of_another_kind_is_dropped_where_it_is(tmp_path):
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2)
    group.create_array("0", data=PIXELS[:1, :, 0])
    axes = [{"name": "p", "type": "phase"}, {"name": "c", "type": "channel"}, {"name": "y"}, {"name": "x"}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    path = tmp_path / "a.zarr"
    got = open_source(path, image_info(path), 0, (1, 2)).read(Box((0, 0), (20, 30)))
    assert np.array_equal(got, PIXELS[0, 1:, 0])


def test_any_order_of_axes_keeps_the_space_axes_in_the_images_order():
    for order in permutations("zyx"):
        axes = "".join(order)
        image = PIXELS[0, 0].transpose(["zyx".index(a) for a in axes])
        got = source_of(image, axes, ()).read(Box((0, 0, 0), image.shape))
        assert np.array_equal(got, image)


def test_an_array_that_looks_like_a_colour_picture_has_to_name_its_axes():
    picture = np.zeros((30, 40, 3), np.uint8)
    with pytest.raises(ImageError, match="colour"):
        image_info(picture)
    assert image_info(picture, axes="yxc").channels == ("0", "1", "2")
    assert image_info(picture, axes="zyx").names == "zyx"


def stored(tmp_path, pixels, chunks, axes, written=None, **options):
    """An OME-Zarr of one level; only the chunks under `written` have files."""
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=3)
    array = group.create_array("0", shape=pixels.shape, chunks=chunks, dtype=pixels.dtype, **options)
    part = written or (slice(None),) * pixels.ndim
    array[part] = pixels[part]
    scale = {"type": "scale", "scale": [1.0] * len(axes)}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    named = [dict(zip(("name", "type"), (x.name, x.kind), strict=True)) for x in parse_axes(axes)]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": named, "datasets": datasets}]}
    return tmp_path / "a.zarr"


GRIDS = {
    "yx": ((96, 80), (16, 16), {"tile_shape": 24, "overlap": 5}),
    "zyx": ((20, 48, 40), (4, 16, 16), {"tile_shape": (5, 20, 20), "overlap": 2}),
    "tyx": ((3, 60, 64), (1, 16, 16), {"tile_shape": 20, "overlap": 3}),
    "tcyx": ((2, 2, 60, 64), (1, 1, 16, 16), {"tile_shape": 20, "overlap": 3, "channels": (1,)}),
    "tczyx": ((4, 2, 12, 40, 40), (2, 2, 4, 16, 16), {"tile_shape": 13, "overlap": 4, "channels": (0,)}),
}


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("axes", GRIDS)
def test_a_whole_run_decodes_every_chunk_once(tmp_path, axes, plain):
    shape, chunks, fields = GRIDS[axes]
    pixels = np.random.default_rng(2).integers(1, 1000, shape, dtype="uint16")
    image = stored(tmp_path, pixels, chunks, axes) if plain else zarr.array(pixels, chunks=chunks)
    info = image_info(image, axes=axes)
    spec = RunSpec(image=info.path, backend="threshold", output=str(tmp_path / "b.zarr"), **fields)
    plan = resolve(spec, replace(info, writable=True), memory_bytes=10**9, cores=2)
    source = open_source(image, info, 0, plan.channels, plan.cache_bytes)
    for number in plan.order():
        box = plan.grid[number].read
        source.prefetch(box)
        where = dict(zip(plan.info.label_axes, box.slices, strict=True))
        cut = tuple(
            where.get(a, slice(plan.channels[0], plan.channels[0] + 1) if plan.channels else None)
            for a in range(len(axes))
        )
        kept = pixels[cut].squeeze(tuple(i for i, a in enumerate(axes) if a in "tc"))
        assert np.array_equal(source.read(box), kept)
    source.close()
    all_chunks = [-(-n // c) for n, c in zip(shape, chunks, strict=True)]
    if "c" in axes:
        all_chunks[axes.index("c")] = 1
    assert len(plan.grid) > 8
    assert source.decoded == np.prod(all_chunks)


def test_bands_decode_little_more_than_once(tmp_path):
    pixels = np.random.default_rng(2).integers(1, 1000, (960, 800), dtype="uint16")
    image = stored(tmp_path, pixels, (16, 16), "yx")
    info = image_info(image)
    spec = RunSpec(image=str(image), backend="threshold", tile_shape=32, overlap=3)
    plan = resolve(spec, info, memory_bytes=10**9, cores=1)
    decoded = []
    for share in (1, 2):
        small = replace(plan, cache_bytes=plan.cache_bytes // share)
        source = open_source(image, info, 0, (), small.cache_bytes)
        for number in small.order():
            source.read(plan.grid[number].read)
        decoded.append(source.decoded)
    assert decoded == [3000, 3240]  # one border between two bands: four columns of 60 chunks again


def test_boxes_whose_chunks_have_no_files_are_missing(tmp_path):
    pixels = np.random.default_rng(2).integers(1, 1000, (3, 64, 64), dtype="uint16")
    image = stored(tmp_path, pixels, (1, 16, 16), "cyx", (slice(0, 2), slice(0, 32)), fill_value=4)
    info = image_info(image)
    one, two = (open_source(image, info, 0, channels) for channels in ((2,), (2, 0)))
    assert one.fill == two.fill == 4
    assert one.missing(Box((0, 0), (64, 64)))
    assert not two.missing(Box((0, 0), (64, 64)))
    assert two.missing(Box((32, 5), (64, 20)))
    assert (two.read(Box((32, 5), (64, 20))) == 4).all()
    assert two.decoded == 0
    for array in (np.zeros((8, 8)), zarr.zeros((8, 8), chunks=(4, 4)), da.zeros((8, 8), chunks=4)):
        source = source_of(array, None, ())
        assert source.fill is None
        assert not source.missing(Box((0, 0), (8, 8)))


@given(
    n=st.integers(1, 200),
    factor=st.integers(1, 16),
    up=st.booleans(),
    data=st.data(),
)
def test_a_coarse_box_covers_every_voxel_of_the_fine_one(n, factor, up, data):
    m = max(1, -(-n // factor) if up else n // factor)
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    box = boxes.covering(Box((start,), (stop,)), (n,), (m,))
    used = {min(x // factor, m - 1) for x in range(start, stop)}
    assert box.start[0] <= min(used)
    assert max(used) < box.stop[0] <= m
    if m < n:
        assert box.shape[0] <= (stop - start) * m / n + 4
    else:
        assert box == Box((start,), (stop,))


def test_coarse_pixels_are_those_over_the_box(bench):
    path = bench.image("tcyx")
    source = open_source(path, image_info(path), 0, (2, 0))
    got = source.coarse(1, Box((1, 10, 20), (2, 21, 30)))
    assert np.array_equal(got, open_image(path).arrays[1][1, :, 4:12, 9:17][[2, 0]])
    assert np.array_equal(source.coarse(0, Box((1, 3, 4), (2, 9, 9))), source.read(Box((1, 3, 4), (2, 9, 9))))


def wait_for_reading_ahead():
    for thread in threading.enumerate():
        if thread.name == "seamlabel-read-ahead":
            thread.join(20)
            assert not thread.is_alive()


def test_what_was_read_ahead_is_not_decoded_again():
    source = source_of(zarr.array(PIXELS[0, 0, 0], chunks=(5, 5)), None, ())
    box = Box((0, 0), (10, 15))
    source.prefetch(box)
    wait_for_reading_ahead()
    assert source.decoded == 6
    source.prefetch(box)
    assert np.array_equal(source.read(box), PIXELS[0, 0, 0, :10, :15])
    assert source.decoded == 6
    source.close()
    source.prefetch(Box((10, 0), (20, 30)))
    wait_for_reading_ahead()
    assert source.decoded == 6


def test_reading_ahead_keeps_errors_for_the_read(tmp_path):
    image = stored(tmp_path, PIXELS[0, 0, 0], (10, 10), "yx")
    (image / "0" / "c" / "0" / "1").write_bytes(b"nothing")
    source = open_source(image, image_info(image), 0, ())
    source.prefetch(Box((0, 0), (20, 30)))
    wait_for_reading_ahead()
    with pytest.raises(ImageError, match="c/0/1"):
        source.read(Box((0, 0), (20, 30)))
    assert np.array_equal(source.read(Box((10, 0), (20, 30))), PIXELS[0, 0, 0, 10:])


def test_a_box_that_is_being_read_is_not_loaded_ahead():
    begun, go, loaded = threading.Event(), threading.Event(), []

    def load(box):
        loaded.append(box)
        begun.set()
        assert go.wait(20)

    ahead = ReadAhead(load)
    ahead.ask("one")
    assert begun.wait(20)
    ahead.ask("two")
    ahead.ask("three")
    ahead.forget("two")
    go.set()
    wait_for_reading_ahead()
    assert loaded == ["one", "three"]
    ahead.ask("four")
    wait_for_reading_ahead()
    assert loaded == ["one", "three", "four"]


def test_nothing_is_read_ahead_where_it_would_not_help():
    for image in (PIXELS[0, 0, 0], da.from_array(PIXELS[0, 0, 0], chunks=(5, 5))):
        source = source_of(image, None, ())
        source.prefetch(Box((0, 0), (20, 30)))
        wait_for_reading_ahead()
        assert source.decoded == 0
