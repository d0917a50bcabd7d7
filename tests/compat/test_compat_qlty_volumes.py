from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seamlabel.compat.qlty import (
    NCZYX25DQuilt,
    TensorLike3D,
    ZOperation,
    from_hdf5,
    from_memmap,
    from_zarr,
    stack_files_to_zarr,
)
from seamlabel.errors import ImageError
from seamlabel.io.ngff.model import open_image

VOLUMES = np.random.default_rng(0).random((2, 2, 6, 20, 17)).astype(np.float32)
SPEC = {"identity": [-1, 0], "mean": [[1, 2]], "std": [[-1, 0, 1]]}
DO = {"identity": lambda a: a[0], "mean": lambda a: a.mean(0), "std": lambda a: a.std(0)}


@pytest.mark.parametrize("grouped", [False, True])
def test_channels_are_in_the_order_of_their_metadata(grouped):
    quilt = NCZYX25DQuilt(VOLUMES, SPEC, z_slices=[2, 3], group_by_operation=grouped)
    found, told = quilt.convert(), quilt.get_channel_metadata()
    assert found.shape == (4, len(told), 20, 17) == quilt.planes.shape
    for number, one in enumerate(told):
        for image, z in [(0, 2), (1, 3)]:
            planes = VOLUMES[image, one["input_channel"]][[z + o for o in one["offsets"]]]
            assert np.allclose(found[image * 2 + z - 2, number], DO[one["operation"]](planes), atol=1e-6)
    order = [(m["operation"], m["input_channel"]) for m in told]
    assert order[:4] == [("identity", 0)] * 2 + (
        [("identity", 1)] * 2 if grouped else [("mean", 0), ("std", 0)]
    )


@given(st.integers(1, 6), st.integers(-9, 9), st.data())
def test_planes_beyond_the_volume_are_those_of_numpys_padding_of_the_whole_volume(length, offset, data):
    mode, numpys = data.draw(
        st.sampled_from([("clamp", "edge"), ("zero", "constant"), ("reflect", "reflect"), ("wrap", "wrap")])
    )
    volume = np.random.default_rng(1).random((1, 1, length, 2, 3))
    z = data.draw(st.integers(0, length - 1))
    found = NCZYX25DQuilt(volume, {"identity": [offset]}, mode, z_slices=[z]).convert()[0, 0]
    padded = np.pad(volume[0, 0], [(9, 9), (0, 0), (0, 0)], mode=numpys)
    assert np.array_equal(found, padded[z + offset + 9])


def test_operations_by_name_planes_by_slice_and_as_a_stack():
    by_enum = NCZYX25DQuilt(VOLUMES, {ZOperation.IDENTITY: (-1, 0), ZOperation.MEAN: ((1, 2),)})
    by_name = NCZYX25DQuilt(VOLUMES, {"direct": [-1, 0], "mean": [[1, 2]]}, accumulation_mode="3d")
    assert by_name.convert().shape == (2, 6, 6, 20, 17)
    assert np.array_equal(by_name.convert()[1, :, 4], by_enum.convert()[10])
    part = NCZYX25DQuilt(VOLUMES, {"identity": [0]}, z_slices=slice(1, None, 2))
    assert np.array_equal(part.convert()[:3], VOLUMES[0, :, 1::2].swapaxes(0, 1))
    assert by_enum.validate_spec() == (True, [])
    assert len(NCZYX25DQuilt(VOLUMES, {"identity": [7]}).validate_spec()[1]) == 1
    quilt = by_enum.to_ncyx_quilt(window=(8, 8), step=(5, 5), border=(1, 1))
    assert np.allclose(quilt.stitch(quilt.unstitch(by_enum.convert()))[0], by_enum.convert(), atol=1e-5)
    assert np.array_equal(np.asarray(quilt.unstitch(by_enum.planes)), quilt.unstitch(by_enum.convert()))


def test_only_the_planes_and_the_area_that_a_patch_needs_are_read():
    read = []

    class Stored:
        shape, dtype = VOLUMES.shape, VOLUMES.dtype

        def __getitem__(self, key):
            read.append(VOLUMES[key].size)
            return VOLUMES[key]

    quilt = NCZYX25DQuilt(Stored(), {"identity": [-1, 0, 1]})
    patches = quilt.to_ncyx_quilt(window=(8, 8), step=(5, 5)).unstitch(quilt.planes)
    assert (read, patches.shape[1]) == ([], 6)
    assert patches[0].shape == (6, 8, 8)
    assert sum(read) <= 2 * 3 * 8 * 8


def test_skipping_what_lies_beyond_the_volume_is_told_where_planes_would_differ():
    inside = NCZYX25DQuilt(VOLUMES, {"identity": [-2, 1]}, boundary_mode="skip", z_slices=range(2, 5))
    assert inside.convert().shape == (6, 4, 20, 17)
    with pytest.raises(ValueError, match=r"z_slices=range\(2, 5\)"):
        NCZYX25DQuilt(VOLUMES, {"identity": [-2, 1]}, boundary_mode="skip")
    for options, says in [
        ({"accumulation_mode": "4d"}, "neither 2d nor 3d"),
        ({"boundary_mode": "fade"}, "none of clamp"),
        ({"z_slices": [6]}, "are not among"),
        ({"channel_spec": {"median": [[0]]}}, "none of identity"),
        ({"data_source": VOLUMES[0]}, r"not \(N, C, Z, Y, X\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            NCZYX25DQuilt(**{"data_source": VOLUMES, "channel_spec": SPEC, **options})
    with pytest.raises(ValueError, match="needs accumulation_mode"):
        NCZYX25DQuilt(VOLUMES, SPEC, accumulation_mode="3d").to_ncyx_quilt(window=(8, 8), step=(8, 8))


@pytest.mark.parametrize(
    "key", [0, (1, 1, 3), (..., 2), (0, slice(None), [3, 1, 3]), slice(0, 0), (-1, ..., -1)]
)
@pytest.mark.parametrize("axes", ["tczyx", "czyx", "zyx", "xzty"])
def test_a_volume_is_indexed_as_an_array_of_five_axes(axes, key):
    shape = {"t": 2, "c": 3, "z": 6, "y": 5, "x": 4}
    array = np.random.default_rng(0).random([shape[a] for a in axes])
    full = array.transpose([axes.index(a) for a in "tczyx" if a in axes])
    full = full.reshape([shape[a] if a in axes else 1 for a in "tczyx"])
    volume = TensorLike3D(array, axes)
    assert volume.shape == full.shape
    try:
        wanted = full[0][:, key[2]] if key == (0, slice(None), [3, 1, 3]) else full[key]
    except IndexError:
        with pytest.raises(IndexError):
            volume[key]
    else:
        assert np.array_equal(volume[key], wanted)


def test_volumes_on_disk_look_like_arrays(tmp_path):
    zarr.save_array(tmp_path / "plain.zarr", VOLUMES)
    zarr.save_array(tmp_path / "zyx.zarr", VOLUMES[0, 0])
    VOLUMES.tofile(tmp_path / "raw.dat")
    found = [from_zarr(tmp_path / "plain.zarr"), from_memmap(tmp_path / "raw.dat", np.float32, VOLUMES.shape)]
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images/stack"] = VOLUMES
    found.append(from_hdf5(tmp_path / "a.h5", "/images/stack"))
    for one in found:
        assert np.array_equal(np.asarray(one), VOLUMES)
        assert np.array_equal(NCZYX25DQuilt(one, SPEC).convert(), NCZYX25DQuilt(VOLUMES, SPEC).convert())
    assert from_zarr(tmp_path / "zyx.zarr", np.float64).shape == (1, 1, 6, 20, 17)
    assert from_zarr(tmp_path / "zyx.zarr", np.float64)[0].dtype == np.float64
    for wrong, says in [
        (lambda: from_hdf5(tmp_path / "a.h5", "images"), "is a group"),
        (lambda: from_hdf5(tmp_path / "a.h5", "labels"), "has no dataset labels"),
        (lambda: from_memmap(tmp_path / "raw.dat", np.float64, VOLUMES.shape), "cannot be read as"),
        (lambda: from_zarr(tmp_path / "none.zarr"), "none.zarr"),
    ]:
        with pytest.raises(ImageError, match=says):
            wrong()


def planes(folder, name, numbers, shape=(37, 41), dtype=np.uint8):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(np.full(shape, 100 + number, dtype)).save(folder / f"{name}_{number}.png")


def test_stacks_of_files_become_ome_zarr_each_of_its_own_type(tmp_path):
    planes(tmp_path / "files", "a", range(12))
    planes(tmp_path / "files", "b", range(3), (20, 21), np.uint16)
    pattern = r"(.+)_(\d+)\.png$"
    told = stack_files_to_zarr(tmp_path / "files", ".png", pattern, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    made = stack_files_to_zarr(tmp_path / "files", ".png", pattern, tmp_path / "out", num_workers=1)
    assert made == told
    assert made["a"]["shape"] == (12, 37, 41)
    assert made["a"]["counter_range"] == (0, 11)
    assert made["a"]["axis_order"] == "ZYX"
    assert [name.split("_")[-1] for name in made["a"]["files"]][9:] == ["9.png", "10.png", "11.png"]
    for name, dtype in [("a", np.uint8), ("b", np.uint16)]:
        volume = from_zarr(made[name]["zarr_path"])
        assert volume.dtype == made[name]["dtype"] == dtype
        assert np.array_equal(volume[0, 0, :, 0, 0], 100 + np.arange(made[name]["file_count"]))
    given = stack_files_to_zarr(
        tmp_path / "files", ".png", pattern, tmp_path / "more", (1, 16, 16), np.uint8, output_naming=str.upper
    )
    assert from_zarr(given["b"]["zarr_path"]).dtype == np.uint8
    assert given["b"]["zarr_path"].endswith("B")


def test_a_gap_in_a_stack_is_an_error_unless_it_is_to_be_filled(tmp_path):
    planes(tmp_path, "a", [0, 1, 2, 4])
    pattern = r"(.+)_(\d+)\.png$"
    with pytest.raises(ImageError, match="z=3"):
        stack_files_to_zarr(tmp_path, ".png", pattern)
    assert not list(tmp_path.glob("*.zarr"))
    made = stack_files_to_zarr(tmp_path, ".png", pattern, gaps="fill")
    assert from_zarr(made["a"]["zarr_path"])[0, 0, :, 0, 0].tolist() == [100, 101, 102, 0, 104]
    closed = stack_files_to_zarr(tmp_path, ".png", pattern, tmp_path / "closed", gaps="close-up")
    assert closed["a"]["shape"][0] == 4
    by_name = stack_files_to_zarr(tmp_path, ".png", pattern, tmp_path / "named", sort_by_counter=False)
    assert by_name["a"]["shape"][0] == 4
    planes(tmp_path, "a", [3], (9, 9))
    with pytest.raises(ImageError, match=r"a_3\.png has 9 x 9 voxels"):
        stack_files_to_zarr(tmp_path, ".png", pattern, tmp_path / "other")
    with pytest.raises(ImageError, match="no file in"):
        stack_files_to_zarr(tmp_path, ".tif", pattern)
    planes(tmp_path, "a", [])
    (tmp_path / "a_03.png").write_bytes((tmp_path / "a_3.png").read_bytes())
    with pytest.raises(ImageError, match="both plane 3 of a"):
        stack_files_to_zarr(tmp_path, ".png", pattern, tmp_path / "twice")


def test_pyramids_of_stacks_are_not_dark_at_their_edges_and_pass_validators(tmp_path):
    models = pytest.importorskip("ome_zarr_models")
    planes(tmp_path, "a", [0], (1301, 1207))
    planes(tmp_path, "a", [1], (1301, 1207))
    made = stack_files_to_zarr(tmp_path, ".png", r"(.+)_(\d+)\.png$")["a"]["zarr_path"]
    arrays = open_image(made).arrays
    assert len(arrays) > 1
    for array in arrays:
        assert np.unique(np.asarray(array[...])[-1, :, -1]).tolist() == [101]
        assert np.asarray(array[...]).min() >= 100
    assert models.open_ome_zarr(zarr.open_group(made, mode="r")) is not None
