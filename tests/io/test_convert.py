"""Images of all kinds become OME-Zarr: the same pixels, their calibration, clear words where that fails."""

from __future__ import annotations

import builtins
import os
import sys
import zipfile

import h5py
import numpy as np
import ome_zarr_models
import pytest
import tifffile
import yaozarrs
import zarr
from PIL import Image

from seamlabel.cli import main
from seamlabel.errors import ImageError, OutputError, SeamlabelError, SpecError
from seamlabel.io.convert import convert, files
from seamlabel.io.convert.inputs import footprint
from seamlabel.io.ngff.model import open_image

RANDOM = np.random.default_rng(0)
MOVIE = RANDOM.integers(0, 4000, (2, 3, 6, 70, 90), dtype="uint16")
VOLUME = MOVIE[0, 0]
RGB = RANDOM.integers(0, 255, (70, 90, 3), dtype="uint8")
BANDS = RGB.transpose(2, 0, 1)


def made(source, tmp_path, **options):
    """Convert, and return what is there."""
    out = tmp_path / "image.zarr"
    assert convert(source, out, **options) == [str(out)]
    return open_image(out)


def tiff(tmp_path, pixels, **options):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    return path


LAYOUTS = [
    {},
    {"byteorder": ">"},
    {"compression": "zlib"},
    {"compression": "lzw", "predictor": True, "rowsperstrip": 7},
    {"rowsperstrip": 1},
    {"tile": (32, 48)},
    {"tile": (32, 48), "compression": "zstd", "byteorder": ">"},
    {"bigtiff": True, "compression": "zlib", "rowsperstrip": 70},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pixels_of_every_layout_of_tiff_are_those_that_tifffile_reads(tmp_path, layout, dtype):
    path = tiff(tmp_path, VOLUME.astype(dtype), metadata=None, **layout)
    image = made(path, tmp_path, axes="zyx")
    assert image.info.dtype == dtype
    assert np.array_equal(image.arrays[0][:], tifffile.imread(path))


@pytest.mark.parametrize("layout", [{}, {"tile": (32, 48), "compression": "zlib"}], ids=str)
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_samples_of_a_pixel_are_channels(tmp_path, layout, planar):
    pixels = RGB if planar == "contig" else BANDS.copy()
    path = tiff(tmp_path, pixels, photometric="rgb", planarconfig=planar, **layout)
    image = made(path, tmp_path)
    assert image.info.names == "cyx"
    assert np.array_equal(image.arrays[0][:], BANDS)


def test_truths_become_numbers_and_deep_tiles_are_read(tmp_path):
    image = made(tiff(tmp_path, VOLUME[0] > 2000, metadata=None), tmp_path)
    assert np.array_equal(image.arrays[0][:], VOLUME[0] > 2000)
    assert image.info.dtype == "uint8"
    deep = RANDOM.integers(0, 4000, (40, 64, 64), dtype="uint16")
    path = tiff(tmp_path, deep, volumetric=True, tile=(16, 32, 32), compression="zlib")
    image = made(path, tmp_path, axes="zyx", overwrite=True)
    assert np.array_equal(image.arrays[0][:], deep)


def test_ome_tiff_says_axes_sizes_units_and_channels(tmp_path):
    told = {
        "axes": "TCZYX",
        "PhysicalSizeX": 65.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.065,
        "PhysicalSizeZ": 0.3,
        "TimeIncrement": 2.5,
        "Channel": {"Name": ["DAPI", "GFP", "membrane"]},
    }
    path = tmp_path / "image.ome.tif"
    tifffile.imwrite(path, MOVIE, metadata=told, photometric="minisblack", compression="zlib")
    image = made(path, tmp_path)
    assert np.array_equal(image.arrays[0][:], MOVIE)
    assert image.info.names == "tczyx"
    assert image.info.scale == (2.5, 1, 0.3, 0.065, 65)
    assert image.info.units == ("second", None, "micrometer", "micrometer", "nanometer")
    assert image.info.channels == ("DAPI", "GFP", "membrane")


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_imagej_says_axes_sizes_and_units(tmp_path, byteorder):
    told = {"axes": "TZCYX", "spacing": 2.0, "unit": "\\u00B5m", "finterval": 0.5}
    pixels = MOVIE.transpose(0, 2, 1, 3, 4)
    options = {"imagej": True, "byteorder": byteorder, "resolution": (4, 4), "metadata": told}
    image = made(tiff(tmp_path, pixels, **options), tmp_path)
    assert np.array_equal(image.arrays[0][:], MOVIE)
    assert image.info.scale == (0.5, 1, 2, 0.25, 0.25)
    assert image.info.units == ("second", None, "micrometer", "micrometer", "micrometer")


def test_what_the_user_says_goes_before_what_the_file_says(tmp_path):
    told = {"axes": "CZYX", "PhysicalSizeX": 9.0, "PhysicalSizeY": 9.0, "PhysicalSizeZ": 7.0}
    path = tmp_path / "image.ome.tif"
    tifffile.imwrite(path, MOVIE[0], metadata=told, photometric="minisblack")
    image = made(path, tmp_path, scale={"y": 0.5, "x": 0.5}, unit="nm", channels=["a", "b", "c"])
    assert image.info.scale == (1, 7, 0.5, 0.5)
    assert image.info.units == (None, "nanometer", "nanometer", "nanometer")
    assert image.info.channels == ("a", "b", "c")
    with pytest.raises(SpecError, match="no axis t"):
        made(path, tmp_path, scale={"t": 1}, overwrite=True)
    with pytest.raises(SpecError, match="'lightyear' of x is not known"):
        made(path, tmp_path, unit={"x": "lightyear"}, overwrite=True)
    with pytest.raises(SpecError, match="2 names"):
        made(path, tmp_path, channels=["a", "b"], overwrite=True)


def test_a_resolution_for_printers_is_noted_not_believed(tmp_path, capsys):
    path = tiff(tmp_path, VOLUME[0], metadata=None, resolution=(300, 300), resolutionunit="INCH")
    assert main(["convert", str(path), str(tmp_path / "a.zarr"), "--dry-run"]) == 0
    assert "its resolution (300 pixels per inch) was not taken" in capsys.readouterr().out
    assert not (tmp_path / "a.zarr").exists()


def test_axes_that_a_file_does_not_say_are_asked_for(tmp_path):
    path = tiff(tmp_path, VOLUME, metadata=None)
    with pytest.raises(ImageError, match=r"has axes \?yx, 6 x 70 x 90") as found:
        made(path, tmp_path)
    assert found.value.hint == "Say it: --axes zyx or --axes tyx or --axes cyx"
    assert made(path, tmp_path, axes="tyx").info.names == "tyx"
    with pytest.raises(ImageError, match="axes 'yx' do not fit"):
        made(path, tmp_path, axes="yx", overwrite=True)


def test_of_several_images_in_a_file_one_is_chosen(tmp_path):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(VOLUME[0])
        file.write(RGB, photometric="rgb")
    with pytest.raises(ImageError, match="holds 2 images") as found:
        made(path, tmp_path)
    assert "--series 0: image, yx 70 x 90 uint16; --series 1: image, yxs 70 x 90 x 3" in found.value.hint
    assert np.array_equal(made(path, tmp_path, series=1).arrays[0][:], BANDS)
    with pytest.raises(ImageError, match="has no series 2"):
        made(path, tmp_path, series=2, overwrite=True)


@pytest.mark.parametrize("fortran", [False, True])
def test_numpy_files(tmp_path, fortran):
    np.save(tmp_path / "a.npy", np.asfortranarray(MOVIE) if fortran else MOVIE)
    with pytest.raises(ImageError, match="5 dimensions"):
        made(tmp_path / "a.npy", tmp_path)
    image = made(tmp_path / "a.npy", tmp_path, axes="tczyx")
    assert np.array_equal(image.arrays[0][:], MOVIE)
    np.savez(tmp_path / "b.npz", one=VOLUME, other=MOVIE)
    with pytest.raises(ImageError, match="holds 2 arrays") as found:
        made(tmp_path / "b.npz", tmp_path)
    assert found.value.hint == "Choose one by --dataset: one, other"
    assert np.array_equal(
        made(tmp_path / "b.npz", tmp_path, dataset="one", overwrite=True).arrays[0][:], VOLUME
    )


def test_hdf5_datasets(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("deep/image", data=VOLUME, chunks=(4, 33, 50), compression="gzip")
        data.attrs["element_size_um"] = [2, 0.5, 0.5]
        file.create_dataset("movie", data=MOVIE)
        file.create_dataset("names", data=[b"a", b"b"])
    with pytest.raises(ImageError, match="holds 2 datasets") as found:
        made(tmp_path / "a.h5", tmp_path)
    assert "deep/image (6 x 70 x 90), movie (2 x 3 x 6 x 70 x 90)" in found.value.hint
    image = made(tmp_path / "a.h5", tmp_path, dataset="deep/image")
    assert np.array_equal(image.arrays[0][:], VOLUME)
    assert (image.info.scale, set(image.info.units)) == ((2, 0.5, 0.5), {"micrometer"})
    image = made(tmp_path / "a.h5", tmp_path, dataset="/movie", axes="tczyx", overwrite=True)
    assert np.array_equal(image.arrays[0][:], MOVIE)


def test_pictures(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert np.array_equal(made(tmp_path / "a.png", tmp_path).arrays[0][:], BANDS)
    Image.fromarray(VOLUME[0]).save(tmp_path / "b.png")
    assert np.array_equal(made(tmp_path / "b.png", tmp_path, overwrite=True).arrays[0][:], VOLUME[0])


def test_arrays_of_python(tmp_path):
    da = pytest.importorskip("dask.array")
    kept = zarr.create_array(tmp_path / "kept.zarr", data=VOLUME, chunks=(2, 33, 33))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        arrays = [
            VOLUME,
            da.from_array(VOLUME, chunks=(4, 30, 50)),
            kept,
            file.create_dataset("a", data=VOLUME),
        ]
        for array in arrays:
            assert np.array_equal(made(array, tmp_path, overwrite=True).arrays[0][:], VOLUME)
    turned = made(VOLUME.T, tmp_path, axes="xyz", overwrite=True)
    assert np.array_equal(turned.arrays[0][:], VOLUME)


def test_ome_zarr_of_another_version_chunks_and_shards(tmp_path):
    units = {"scale": {"z": 2, "y": 0.5, "x": 0.5}, "unit": "micrometer", "channels": ["a", "b", "c"]}
    convert(MOVIE, tmp_path / "old.zarr", axes="tczyx", ngff="0.4", **units)
    image = made(tmp_path / "old.zarr", tmp_path, chunks=(4, 32, 32), shards={"y": 64, "x": 64}, levels=3)
    old = open_image(tmp_path / "old.zarr")
    assert (old.info.ngff_version, image.info.ngff_version) == ("0.4", "0.5")
    assert (image.info.axes, image.info.scale) == (old.info.axes, old.info.scale)
    assert image.info.channels == ("a", "b", "c")
    assert image.arrays[0].chunks == (1, 1, 4, 32, 32)
    assert image.arrays[0].shards == (1, 1, 4, 64, 64)
    assert np.array_equal(image.arrays[0][:], MOVIE)
    again = made(tmp_path / "old.zarr" / "0", tmp_path, axes="tczyx", overwrite=True)
    assert np.array_equal(again.arrays[0][:], MOVIE)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_what_is_made_is_valid(tmp_path, ngff):
    options = {"unit": {"t": "s", "y": "um", "x": "um"}, "channels": ["a", "b", "c"], "levels": 3}
    convert(MOVIE, tmp_path / "image.zarr", axes="tczyx", ngff=ngff, **options)
    model = ome_zarr_models.open_ome_zarr(zarr.open_group(str(tmp_path / "image.zarr"), mode="r"))
    assert (type(model).__name__, model.ome_zarr_version) == ("Image", ngff)
    if ngff == "0.5":
        yaozarrs.validate_zarr_store(str(tmp_path / "image.zarr"))


def test_coarse_levels_are_means_without_dark_edges(tmp_path):
    image = made(np.full((5, 131, 67), 1000, "uint16"), tmp_path, levels=5)
    assert [level.shape[1:] for level in image.arrays] == [(131, 67), (66, 34), (33, 17), (17, 9), (9, 5)]
    assert all((level[:] == 1000).all() for level in image.arrays)


def test_what_is_not_a_number_is_left_out_of_the_display_range(tmp_path):
    pixels = np.linspace(0, 5, 900, dtype="float32").reshape(30, 30)
    pixels[3, 4] = np.nan
    made(pixels, tmp_path, channels=["a"])
    attributes = zarr.open_group(str(tmp_path / "image.zarr")).attrs["ome"]
    assert attributes["omero"]["channels"][0]["window"]["end"] == 5


BAD = {
    "empty.tif": b"",
    "text.tif": b"hello world",
    "cut.tif": b"II*\0\x08\0\0\0",
    "text.npy": b"hello",
    "text.h5": b"hello",
    "text.npz": b"hello",
    "text.png": b"hello",
    "text.xyz": b"hello",
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_cannot_be_read_are_named_and_nothing_is_made(tmp_path, name, capsys):
    (tmp_path / name).write_bytes(BAD[name])
    assert main(["convert", str(tmp_path / name), str(tmp_path / "out.zarr")]) == 1
    told = capsys.readouterr().err
    assert name in told
    assert "Traceback" not in told
    assert not (tmp_path / "out.zarr").exists()


def test_a_tiff_that_is_cut_short_is_named(tmp_path):
    for number, options in enumerate(({}, {"compression": "zlib"}, {"tile": (32, 48)})):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, RANDOM.integers(0, 9999, (300, 300), dtype="uint16"), **options)
        path.write_bytes(path.read_bytes()[:-5000])
        with pytest.raises(ImageError, match=rf"{number}\.tif"):
            made(path, tmp_path, overwrite=True)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    path = tiff(tmp_path, VOLUME[0])
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageError, match="tifffile is needed") as found:
        made(path, tmp_path)
    assert found.value.hint == 'Install it: pip install "seamlabel[convert]"'
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(ImageError, match=r"a\.czi") as found:
        made(tmp_path / "a.czi", tmp_path)
    assert found.value.hint.startswith('Install it: pip install "seamlabel[bioio]"')


def test_conversion_of_arrays_needs_no_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **more):
        assert name.partition(".")[0] not in ("tifffile", "h5py", "bioio", "imagecodecs")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    made(VOLUME, tmp_path)


def test_what_is_there_is_kept(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").touch()
    with pytest.raises(OutputError, match="not a zarr group"):
        convert(VOLUME, tmp_path / "thesis", overwrite=True)
    convert(VOLUME, tmp_path / "a.zarr")
    with pytest.raises(OutputError, match="exists"):
        convert(VOLUME, tmp_path / "a.zarr")
    convert(VOLUME, tmp_path / "a.zarr", overwrite=True, ngff="0.4")
    assert not (tmp_path / "a.zarr" / "zarr.json").exists()
    labels = zarr.open_group(str(tmp_path / "a.zarr")).create_group("labels/cells")
    labels.attrs["multiscales"] = [{}]
    with pytest.raises(OutputError, match="labels that would be lost: cells"):
        convert(VOLUME, tmp_path / "a.zarr", overwrite=True)


def test_a_full_disk_is_told_and_how_to_go_on(tmp_path, monkeypatch):
    from seamlabel.io.ngff import chunkfiles

    def full(file, packed):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chunkfiles, "_save", full)
    with pytest.raises(OutputError, match="No space left") as found:
        made(VOLUME, tmp_path)
    assert "Free some space" in found.value.hint
    monkeypatch.undo()
    assert np.array_equal(made(VOLUME, tmp_path).arrays[0][:], VOLUME)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (0, 5)},
        {"chunks": {"y": 5}},
        {"shards": (64, 64), "ngff": "0.4"},
        {"ngff": "0.6"},
        {"levels": 0},
        {"workers": 0},
        {"gaps": "maybe"},
        {"pattern": "a{z}.tif"},
        {"scale": {"x": -1}},
    ],
    ids=str,
)
def test_wrong_wishes_are_refused_before_any_work(tmp_path, options):
    np.save(tmp_path / "a.npy", VOLUME[0])
    with pytest.raises(SpecError) as found:
        convert(tmp_path / "a.npy", tmp_path / "out.zarr", **options)
    assert all(problem.fix for problem in found.value.problems)
    assert not (tmp_path / "out.zarr").exists()


def test_pieces_that_straddle_blocks_are_kept_for_a_sweep():
    assert footprint((1, 64, 64), (10, 640, 640), (1, 64, 64)) == 64 * 64
    assert footprint((8, 64, 64), (10, 640, 640), (1, 64, 640)) == 8 * 64 * 640
    assert footprint((8, 64, 64), (10, 640, 640), (1, 640, 640)) == 8 * 640 * 640
    assert footprint((8, 640, 640), (10, 640, 640), (1, 640, 640)) == 8 * 640 * 640
    assert footprint((8, 64, 640), (10, 640, 640), (1, 60, 640)) == 8 * (120 + 60) * 640
    assert footprint((1, 64, 64), (10, 640, 640), (4, 64, 64)) == 4 * 640 * 640


def test_the_command_line_converts_and_says_what_came_out(tmp_path, capsys):
    path = tmp_path / "image.ome.tif"
    tifffile.imwrite(path, VOLUME, metadata={"axes": "ZYX"}, photometric="minisblack")
    out = str(tmp_path / "a.zarr")
    command = ["convert", str(path), out, "--scale", "z=2,y=0.5,x=0.5", "--unit", "um", "--levels", "2"]
    assert main([*command, "--chunks", "6,32,32", "--workers", "1"]) == 0
    assert capsys.readouterr().out == f"{out}: zyx 6 x 70 x 90, 2 levels\n"
    info = open_image(out).info
    assert (info.scale, info.units[0], info.chunks) == ((2, 0.5, 0.5), "micrometer", (6, 32, 32))
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    for wrong in (["--scale", "2"], ["--scale", "z=a"], ["--chunks", "big"], ["--ngff", "7"]):
        assert main([*command, *wrong, "--overwrite"]) == 2
        assert wrong[0] in capsys.readouterr().err


def test_errors_are_all_of_this_package(tmp_path):
    for source in (tmp_path / "nothing.tif", tmp_path, 5, "s3://bucket/a.tif", np.zeros(5)):
        with pytest.raises(SeamlabelError):
            convert(source, tmp_path / "out.zarr")


def test_an_image_is_not_written_over_what_it_is_made_of(tmp_path):
    made(VOLUME, tmp_path)
    before = (tmp_path / "image.zarr" / "zarr.json").read_bytes()
    for source in (tmp_path / "image.zarr", tmp_path / "image.zarr" / "0"):
        with pytest.raises(OutputError, match="is, or lies in"):
            convert(source, tmp_path / "image.zarr", overwrite=True)
    assert (tmp_path / "image.zarr" / "zarr.json").read_bytes() == before


def test_planes_of_an_ome_tiff_may_lie_in_several_files(tmp_path):
    """As microscopes write them: every file has the whole XML, and one plane."""
    names = ["a.ome.tif", "b.ome.tif"]
    data = "".join(
        f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{c}</UUID></TiffData>'
        for c, name in enumerate(names)
    )
    for c, name in enumerate(names):
        xml = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{c}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
            'Type="uint16" SizeX="90" SizeY="70" SizeC="2" SizeZ="1" SizeT="1" PhysicalSizeX="0.5">'
            f'<Channel ID="Channel:0" Name="red"/><Channel ID="Channel:1" Name="green"/>{data}'
            "</Pixels></Image></OME>"
        )
        tifffile.imwrite(
            tmp_path / name, VOLUME[c], description=xml, metadata=None, compression="zlib" if c else None
        )
    image = made(tmp_path / "a.ome.tif", tmp_path)
    assert np.array_equal(image.arrays[0][:], VOLUME[:2])
    assert image.info.channels == ("red", "green")
    assert image.info.scale == (1, 1, 0.5)


def test_a_compressed_npz_is_read_and_one_too_large_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", image=VOLUME)
    assert np.array_equal(made(tmp_path / "a.npz", tmp_path).arrays[0][:], VOLUME)
    monkeypatch.setattr(files, "MOST_NPZ", 1000)
    with pytest.raises(ImageError, match="can only be read at once"):
        made(tmp_path / "a.npz", tmp_path, overwrite=True)


def test_sizes_that_no_file_can_have_are_refused_at_once(tmp_path):
    """A header that tells of 2**31 rows in one strip must not make this program ask for the memory."""
    path = tiff(tmp_path, VOLUME[0], metadata=None, compression="zlib", rowsperstrip=70)
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("ImageLength", "RowsPerStrip"):
            file.pages.first.tags[name].overwrite(2**31 - 1)
    with pytest.raises(ImageError, match="strips or tiles of"):
        made(path, tmp_path)
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<u2", "fortran_order": False, "shape": (2**31, 2**20)}
        )
    with pytest.raises(ImageError, match="pixels end at"):
        made(tmp_path / "a.npy", tmp_path)


def test_xml_that_declares_entities_is_not_read(tmp_path):
    path, told = tmp_path / "a.ome.tif", {"axes": "YX", "PhysicalSizeX": 0.5}
    tifffile.imwrite(path, VOLUME[0], metadata=told)
    xml = tifffile.TiffFile(path).ome_metadata.replace("<OME", '<!DOCTYPE a [<!ENTITY b "bb">]><OME', 1)
    tifffile.imwrite(path, VOLUME[0], description=xml, metadata=None)
    assert main(["convert", str(path), str(tmp_path / "a.zarr")]) == 0
    assert open_image(tmp_path / "a.zarr").info.scale == (1, 1)


def test_labels_of_an_image_that_cannot_be_written_into_are_led_elsewhere(tmp_path, capsys):
    made(VOLUME[0], tmp_path)
    packed = str(tmp_path / "packed.zip")
    with zipfile.ZipFile(packed, "w") as file:
        for part in sorted((tmp_path / "image.zarr").rglob("*")):
            if part.is_file():
                file.write(part, part.relative_to(tmp_path / "image.zarr"))
    assert main(["segment", packed, "--quiet"]) == 2
    assert "--output" in capsys.readouterr().err
    assert main(["segment", packed, "--quiet", "--output", str(tmp_path / "mine.zarr")]) == 0
    assert open_image(tmp_path / "mine.zarr" / "labels" / "labels").info.shape == (70, 90)


def test_bioio_reads_what_it_has_a_reader_for(tmp_path):
    pytest.importorskip("bioio_ome_tiff")
    told = {"axes": "TCZYX", "PhysicalSizeX": 0.5, "PhysicalSizeZ": 2.0, "Channel": {"Name": ["a", "b", "c"]}}
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(MOVIE, metadata=told, photometric="minisblack")
        file.write(VOLUME, metadata={"axes": "ZYX"}, photometric="minisblack")
    with pytest.raises(ImageError, match="holds 2 images") as found:
        made(path, tmp_path, bioio=True)
    assert "--series 1: Image:1" in found.value.hint
    image = made(path, tmp_path, bioio=True, series=0)
    assert np.array_equal(image.arrays[0][:], MOVIE)
    assert image.info.scale == (1, 1, 2, 1, 0.5)
    assert image.info.channels == ("a", "b", "c")
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(ImageError, match=r"a\.czi: bioio cannot read it") as found:
        made(tmp_path / "a.czi", tmp_path, overwrite=True)
    assert "bioio-czi" in found.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="neither a file nor a folder"):
        made(tmp_path / "a.tif", tmp_path)


def test_files_at_an_address_are_to_be_copied_first(tmp_path):
    with pytest.raises(ImageError, match="from a local disk"):
        convert("s3://bucket/scan.tif", tmp_path / "out.zarr")
