"""Folders of planes become one image: numeric order, gaps, several stacks, files that do not belong."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.cli import main
from seamlabel.errors import ImageError, SpecError
from seamlabel.io.convert import convert
from seamlabel.io.convert.pattern import compiled, planes, stacks
from seamlabel.io.ngff.model import open_image

PIXELS = np.random.default_rng(0).integers(0, 4000, (2, 2, 12, 40, 50), dtype="uint16")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "planes"
    place.mkdir()
    return place


def write(folder, name="img_t{t}_z{z}_c{c}.tif", pixels=PIXELS, skip=(), **options):
    for t, c, z in np.ndindex(*pixels.shape[:3]):
        if (t, c, z) not in skip:
            file = folder / name.format(t=t, c=c, z=z)
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, pixels[t, c, z], **options)


def level_0(path):
    return open_image(path).arrays[0][:]


@pytest.mark.parametrize("name", ["img_t{t}_z{z}_c{c}.tif", "t{t}/c{c}_{z:03d}.tif", "{z}-{c}-{t}.tif"])
def test_planes_are_put_in_the_order_of_their_numbers(folder, tmp_path, name):
    write(folder, name)
    (folder / "notes.txt").touch()
    convert(folder, tmp_path / "a.zarr", pattern=name.replace(":03d", ""))
    assert open_image(tmp_path / "a.zarr").info.names == "tczyx"
    assert np.array_equal(level_0(tmp_path / "a.zarr"), PIXELS)


def test_channels_may_have_names(folder, tmp_path):
    for name, plane in (("GFP", PIXELS[0, 0, 0]), ("DAPI", PIXELS[0, 0, 1])):
        tifffile.imwrite(folder / f"well_{name}.tif", plane)
    convert(folder, tmp_path / "a.zarr", pattern="well_{c}.tif")
    assert open_image(tmp_path / "a.zarr").info.channels == ("DAPI", "GFP")
    assert np.array_equal(level_0(tmp_path / "a.zarr"), PIXELS[0, 0, [1, 0]])


def test_files_may_hold_volumes_and_colours(folder, tmp_path):
    for t in range(3):
        tifffile.imwrite(folder / f"{t}.ome.tif", PIXELS[t % 2, 0], metadata={"axes": "ZYX"})
    convert(folder, tmp_path / "a.zarr", pattern="{t}.ome.tif")
    assert np.array_equal(level_0(tmp_path / "a.zarr"), PIXELS[[0, 1, 0], 0])
    with pytest.raises(ImageError, match="z is in the pattern too"):
        convert(folder, tmp_path / "b.zarr", pattern="{z}.ome.tif")


def test_of_several_stacks_one_is_chosen_or_all_are_made(folder, tmp_path, capsys):
    for number in (1, 2, 10):
        write(folder, f"mouse{number}_" + "{t}_{c}_{z}.tif", PIXELS[:1, :1, number % 3 :])
    pattern = "{stack}_{t}_{c}_{z}.tif"
    with pytest.raises(ImageError, match="3 stacks: mouse1, mouse2, mouse10") as found:
        convert(folder, tmp_path / "a.zarr", pattern=pattern)
    assert "--stack NAME" in found.value.hint
    convert(folder, tmp_path / "a.zarr", pattern=pattern, stack="mouse2")
    assert np.array_equal(level_0(tmp_path / "a.zarr"), PIXELS[:1, :1, 2:])
    made = convert(folder, tmp_path / "all", pattern=pattern, stack="all")
    assert sorted(made) == [str(tmp_path / "all" / f"mouse{n}.zarr") for n in (1, 10, 2)]
    assert np.array_equal(level_0(tmp_path / "all" / "mouse10.zarr"), PIXELS[:1, :1, 1:])


def test_gaps_are_refused_filled_or_closed(folder, tmp_path):
    write(folder, skip={(t, c, z) for t in (0, 1) for c in (0, 1) for z in (3, 4)})
    pattern = "img_t{t}_z{z}_c{c}.tif"
    with pytest.raises(ImageError, match="8 of 48 planes have no file: t=0 c=0 z=3; t=0 c=0 z=4") as found:
        convert(folder, tmp_path / "a.zarr", pattern=pattern)
    assert "--gaps fill" in found.value.hint
    assert "--gaps close-up" in found.value.hint
    convert(folder, tmp_path / "fill.zarr", pattern=pattern, gaps="fill")
    filled = PIXELS.copy()
    filled[:, :, 3:5] = 0
    assert np.array_equal(level_0(tmp_path / "fill.zarr"), filled)
    convert(folder, tmp_path / "close.zarr", pattern=pattern, gaps="close-up")
    assert np.array_equal(level_0(tmp_path / "close.zarr"), np.delete(PIXELS, (3, 4), 2))


def test_a_hole_in_one_channel_cannot_be_closed(folder, tmp_path):
    write(folder, skip={(0, 1, 5)})
    with pytest.raises(
        ImageError, match="1 of 48 planes are missing in a part of the stack only: t=0 c=1 z=5"
    ):
        convert(folder, tmp_path / "a.zarr", pattern="img_t{t}_z{z}_c{c}.tif", gaps="close-up")


def test_numbers_in_steps_have_no_gaps(folder, tmp_path):
    for z in range(4):
        tifffile.imwrite(folder / f"z{z * 250 + 100}um.tif", PIXELS[0, 0, z])
    convert(folder, tmp_path / "a.zarr", pattern="z{z}um.tif")
    assert np.array_equal(level_0(tmp_path / "a.zarr"), PIXELS[0, 0, :4])


@pytest.mark.parametrize(
    ("plane", "what"),
    [
        (np.zeros((40, 51), "uint16"), "has 40 x 51 voxels"),
        (np.zeros((40, 50), "uint8"), "has pixels of type uint8"),
        (np.zeros((40, 50, 3), "uint16"), "has 40 x 50 x 3 voxels"),
    ],
)
def test_a_plane_that_does_not_belong_is_named_before_any_work(folder, tmp_path, plane, what):
    write(folder, "{t}_{c}_{z}.tif")
    tifffile.imwrite(folder / "1_0_7.tif", plane)
    with pytest.raises(ImageError, match=rf"1_0_7\.tif {what}"):
        convert(folder, tmp_path / "a.zarr", pattern="{t}_{c}_{z}.tif")
    assert not (tmp_path / "a.zarr").exists()


def test_a_broken_plane_is_named_before_any_work(folder, tmp_path):
    write(folder, "{t}_{c}_{z}.tif")
    (folder / "0_1_3.tif").write_bytes(b"II*\0")
    with pytest.raises(ImageError, match=r"0_1_3\.tif"):
        convert(folder, tmp_path / "a.zarr", pattern="{t}_{c}_{z}.tif")
    assert not (tmp_path / "a.zarr").exists()


def test_two_files_for_one_plane_are_refused(folder, tmp_path):
    write(folder, "{t}_{c}_{z}.tif")
    (folder / "0_0_07.tif").write_bytes((folder / "0_0_7.tif").read_bytes())
    with pytest.raises(ImageError, match=r"0_0_07\.tif and 0_0_7\.tif .* are the same plane"):
        convert(folder, tmp_path / "a.zarr", pattern="{t}_{c}_{z}.tif")


def test_a_folder_without_a_pattern_is_answered_with_one(folder, tmp_path):
    write(folder, "scan3_t{t}_ch{c}_{z:03d}.tif")
    with pytest.raises(ImageError, match="is a folder") as found:
        convert(folder, tmp_path / "a.zarr")
    assert 'perhaps --pattern "scan3_t{t}_ch{c}_{z}.tif"' in found.value.hint
    with pytest.raises(ImageError, match=r"no file in .* fits") as found:
        convert(folder, tmp_path / "a.zarr", pattern="x{z}.tif")
    convert(folder, tmp_path / "a.zarr", pattern="scan3_t{t}_ch{c}_{z}.tif")


@pytest.mark.parametrize("pattern", ["plane.tif", "{q}.tif", "{z}_{z}.tif", "{}.tif"])
def test_patterns_that_mean_nothing_are_refused(folder, tmp_path, pattern):
    with pytest.raises(SpecError, match="pattern"):
        convert(folder, tmp_path / "a.zarr", pattern=pattern)


def test_a_dry_run_tells_what_would_be_made_and_makes_nothing(folder, tmp_path, capsys):
    write(folder, skip={(0, 0, 3)})
    out = tmp_path / "a.zarr"
    command = ["convert", str(folder), str(out), "--pattern", "img_t{t}_z{z}_c{c}.tif", "--gaps", "fill"]
    assert main([*command, "--dry-run", "--scale", "z=2,y=0.5,x=0.5", "--unit", "um"]) == 0
    told = capsys.readouterr().out
    for words in (
        "47 files",
        "OME-Zarr 0.5, tczyx 2 x 2 x 12 x 40 x 50, uint16",
        "2 micrometer x 0.5 micrometer x 0.5 micrometer",
        "missing planes become zeros: t=0 c=0 z=3",
        "192 kB before compression, 4 files at most",
        "nothing is there",
    ):
        assert words in told
    assert not out.exists()
    assert main(command) == 0


@given(
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1),
    st.sampled_from(["error", "fill", "close-up"]),
)
def test_every_file_lies_where_its_numbers_say(keys, gaps):
    found = {(str(t), str(z)): f"{t}-{z}" for t, z in keys}
    try:
        made = planes(found, ("t", "z"), gaps)
    except ImageError:
        assert gaps != "fill"
        return
    table = np.array([file or "" for file in made.files]).reshape(made.shape)
    assert sorted(filter(None, table.ravel())) == sorted(found.values())
    for axis in (0, 1):  # numbers grow along each axis
        for line in np.moveaxis(table, axis, 0):
            numbers = {file.split("-")[axis] for file in line.ravel() if file}
            assert len(numbers) <= 1
        firsts = [
            int(next(file for file in line.ravel() if file).split("-")[axis])
            for line in np.moveaxis(table, axis, 0)
            if line.any()
        ]
        assert firsts == sorted(firsts)
    if gaps != "fill":
        assert all(made.files)


def test_a_star_stands_for_anything_but_no_folder(folder):
    (folder / "sub").mkdir()
    for name in ("a_17_z1.tif", "b_18_z2.tif", "sub/c_z3.tif"):
        (folder / name).touch()
    assert set(stacks(folder, "*_z{z}.tif")[""]) == {("1",), ("2",)}
    assert compiled("(a+)_{z}.tif")[0].fullmatch("(a+)_07.tif")["z"] == "07"
