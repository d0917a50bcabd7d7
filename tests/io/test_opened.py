"""Whatever holds pixels is blended and segmented as an array of the same pixels is."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from scipy import ndimage

import seamlabel
from seamlabel.errors import ImageError
from seamlabel.io.opened import Opened, as_source
from seamlabel.io.segments import Segments
from seamlabel.io.sources import image_info, open_source
from seamlabel.testing.cells import Tissue

PLANE = Tissue((180, 200), "sparse").image()
STACK = np.stack([PLANE, PLANE[::-1], PLANE[:, ::-1]])


def blur(tile):
    return ndimage.uniform_filter(tile.astype(np.float32), 5, mode="reflect")


def cells(tile):
    return ndimage.label(tile > 1500)[0]


class Tensor:
    """What is asked of a torch tensor, so that torch need not be there."""

    __module__ = "torch"

    def __init__(self, values):
        self.values, self.dtype = values, values.dtype

    def detach(self):
        return self

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        if self.values.dtype.kind == "c":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


@pytest.fixture
def forms(tmp_path):
    """The same stack in every form, by name."""
    tifffile.imwrite(tmp_path / "plain.tif", STACK, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "tiled.ome.tif", STACK, tile=(64, 64), compression="zlib",
                     metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})  # fmt: skip
    (tmp_path / "planes").mkdir()
    for z, plane in enumerate(STACK):
        tifffile.imwrite(tmp_path / "planes" / f"img_z{z}.tif", plane)
    np.save(tmp_path / "array.npy", STACK)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(STACK))
    file = h5py.File(tmp_path / "some.h5", "w")
    file.create_dataset("raw/data", data=STACK, chunks=(1, 64, 64))
    file.flush()
    zarr.create_array(tmp_path / "array.zarr", data=STACK, chunks=(1, 64, 64))
    return {
        "TIFF": tmp_path / "plain.tif",
        "OME-TIFF": str(tmp_path / "tiled.ome.tif"),
        "folder": str(tmp_path / "planes" / "img_z{z}.tif"),
        "npy": tmp_path / "array.npy",
        "HDF5 dataset": file["raw/data"],
        "zarr array": tmp_path / "array.zarr",
        "memmap": np.load(tmp_path / "array.npy", mmap_mode="r"),
        "tensor": Tensor(STACK),
    }


def test_every_form_is_blended_and_segmented_as_the_array_is(forms):
    expected = seamlabel.blend(STACK, blur, tile_shape=(3, 64, 64), overlap=(0, 8, 8)).values
    truth = seamlabel.segment(STACK, cells, tile_shape=(3, 64, 64), overlap=(0, 16, 16), progress=False)
    for name, form in forms.items():
        ask = {"axes": "zyx"} if name == "zarr array" else {}
        found = seamlabel.blend(form, blur, tile_shape=(3, 64, 64), overlap=(0, 8, 8), **ask).values
        assert np.array_equal(found, expected), name
        labels = seamlabel.segment(
            form, cells, tile_shape=(3, 64, 64), overlap=(0, 16, 16), progress=False, workers=2, **ask
        )
        assert np.array_equal(np.asarray(labels.labels), np.asarray(truth.labels)), name


def test_sizes_and_units_come_from_the_file(forms, tmp_path):
    found = seamlabel.blend(forms["OME-TIFF"], np.copy, output=tmp_path / "map.zarr", tile_shape=100)
    info = image_info(found.path)
    assert info.scale[-2:] == (0.5, 0.5)
    assert info.units[-1] == "micrometer"


def test_only_pieces_that_tiles_need_are_decoded(forms):
    opened = as_source(forms["OME-TIFF"])
    assert isinstance(opened.array, Segments)
    assert opened.info.chunks == (1, 64, 64)
    source = open_source(opened, opened.info, 0, ())
    source.readers[0].read([slice(0, 1), slice(0, 60), slice(0, 60)])
    assert source.decoded == 1
    with h5py.File(str(forms["HDF5 dataset"].file.filename), "r") as file:
        assert as_source(file["raw/data"]).info.chunks == (1, 64, 64)


def test_what_is_opened_is_cut_as_an_array_and_goes_to_other_processes(forms, tmp_path):
    for name in ("TIFF", "folder", "HDF5 dataset", "npy"):
        opened = pickle.loads(pickle.dumps(as_source(forms[name])))
        assert isinstance(opened, Opened)
        for key in (1, np.s_[..., 5:9], np.s_[-1, 3:8], np.s_[0:2, 7, 1:3], np.s_[:]):
            assert np.array_equal(opened[key], STACK[key])
        with pytest.raises(IndexError, match="slices of step 1"):
            opened[::2]
    turned = as_source(tmp_path / "fortran.npy")
    assert np.array_equal(turned[...], STACK)
    swapped = as_source(tmp_path / "array.npy", "xzy")
    assert np.array_equal(swapped[...], STACK.transpose(1, 2, 0))
    assert swapped.info.names == "zyx"


def test_what_is_read_in_pieces_anyway_stays_what_it_is(forms):
    array = zarr.open_array(str(forms["zarr array"]), mode="r")
    for same in (STACK, array, "https://example.org/image.zarr", "nowhere.zarr"):
        assert as_source(same) is same
    assert np.shares_memory(as_source(forms["tensor"]), STACK)
    with pytest.raises(ImageError, match="cannot be read"):
        as_source(Tensor(STACK.astype(complex)))


def test_what_cannot_be_read_says_what_to_give(forms, tmp_path):
    with pytest.raises(ImageError, match="is a folder") as told:
        seamlabel.blend(tmp_path / "planes", blur)
    assert "{z}" in told.value.hint
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(ImageError, match=r"broken\.tif holds no image"):
        seamlabel.blend(tmp_path / "broken.tif", blur)
    with pytest.raises(ImageError, match="does not exist"):
        seamlabel.blend(tmp_path / "no.tif", blur)
