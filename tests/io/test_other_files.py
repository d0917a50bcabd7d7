"""Commands and runs on files that are no OME-Zarr: as on the array that they hold."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import tifffile
from scipy import ndimage

import seamlabel
from seamlabel.cli import main
from seamlabel.engine.stored import read_stored
from seamlabel.errors import ImageError
from seamlabel.events import TileDone
from seamlabel.io.sources import open_labels
from seamlabel.retelling import as_command, as_python
from seamlabel.spec import RunSpec
from seamlabel.testing import same_partition
from seamlabel.testing.cells import Tissue

PLANE = Tissue((180, 200), "sparse").image()
STACK = np.stack([PLANE, PLANE[::-1], PLANE[:, ::-1]])
VALUE = ("--set", "value=1500", "--set", "smoothing=0", "--tile", "3,64,64", "--overlap", "0,8,8", "--quiet")
CODE = """
from pathlib import Path

from scipy import ndimage


def cells(tile):
    if Path(__file__).with_name("stop").exists() and tile[0, 0, 0] == %d:
        raise RuntimeError("stopped")
    return ndimage.label(tile > 1500)[0]
"""


@pytest.fixture
def files(tmp_path):
    """Paths of files that hold the stack, and what has to be said of each."""
    (tmp_path / "planes").mkdir()
    for z, plane in enumerate(STACK):
        tifffile.imwrite(tmp_path / "planes" / f"p{z}.tif", plane)
    tifffile.imwrite(tmp_path / "scan.tif", STACK, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "turned.tif", STACK.transpose(2, 0, 1), metadata={"axes": "QYX"})
    with tifffile.TiffWriter(tmp_path / "two.ome.tif") as writer:
        writer.write(PLANE)
        writer.write(STACK, metadata={"axes": "ZYX"})
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("raw/data", data=STACK, chunks=(1, 64, 64))
        file["other"] = PLANE
    np.savez(tmp_path / "some.npz", one=PLANE, two=STACK)
    return {
        tmp_path / "scan.tif": (),
        tmp_path / "turned.tif": ("--axes", "xzy"),
        tmp_path / "two.ome.tif" / "1": (),
        tmp_path / "scan.h5" / "raw" / "data": (),
        tmp_path / "some.npz" / "two": (),
        tmp_path / "planes" / "p{z}.tif": (),
    }


def labels(path):
    return np.asarray(open_labels(f"{path}/labels/labels")[0])


def test_segment_and_blend_take_them_and_info_tells_of_them(files, tmp_path, capsys):
    truth = ndimage.label(STACK > 1500)[0]
    for number, (path, said) in enumerate(files.items()):
        out = tmp_path / f"{number}.zarr"
        assert main(["segment", str(path), "--output", str(out), *said, *VALUE]) == 0
        assert same_partition(labels(out), truth)
        capsys.readouterr()
        assert main(["info", str(path), *said, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [axis["name"] for axis in told["axes"]] == ["z", "y", "x"]
        assert (told["levels"][0]["shape"], told["dtype"], told["kind"]) == ([3, 180, 200], "uint16", "file")
    (tmp_path / "f.py").write_text("import numpy as np\n\n\ndef same(tile):\n    return np.float32(tile)\n")
    path, said = tmp_path / "turned.tif", ("--axes", "xzy")
    ask = ["blend", str(path), str(tmp_path / "m.zarr"), "--function", f"{tmp_path / 'f.py'}:same", "--quiet"]
    assert main([*ask, *said]) == 0
    assert np.array_equal(np.asarray(open_labels(tmp_path / "m.zarr")[0]), STACK)
    assert main(["info", str(tmp_path / "scan.tif")]) == 0
    assert "give --output for the labels; or convert it" in capsys.readouterr().out


def test_overlap_is_measured_on_them(files, tmp_path, capsys):
    for path, said in list(files.items())[:2]:
        ask = ["measure-overlap", str(path), *said, "--set", "value=1500", "--seconds", "5", "--quiet"]
        assert main(ask) == 0
        assert "--overlap" in capsys.readouterr().out
        out = str(tmp_path / "o.zarr")
        measured = ["--overlap", "measure", "--output", out, "--overwrite", "--set", "value=1500", "--quiet"]
        assert main(["segment", str(path), *said, *measured]) == 0


def interrupted(tmp_path, path, said):
    """Have tiles of a run fail; return its folder."""
    (tmp_path / "f.py").write_text(CODE % STACK[0, 56, 56])
    (tmp_path / "stop").touch()
    ask = [
        "segment", str(path), "--output", str(tmp_path / "out.zarr"), *said, *VALUE[4:], "--retries", "0",
        "--function", f"{tmp_path / 'f.py'}:cells", "--workers", "1",
    ]  # fmt: skip
    assert main(ask) == 3
    (tmp_path / "stop").unlink()
    return tmp_path / "out.zarr.seamlabel" / "labels"


def test_a_run_of_a_file_goes_on_by_itself(files, tmp_path, monkeypatch):
    truth = ndimage.label(STACK > 1500)[0]
    (tmp_path / "elsewhere").mkdir()
    for path, said in files.items():
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)  # what is typed lies here, what goes on elsewhere
            run = interrupted(tmp_path, path.relative_to(tmp_path), said)
        assert read_stored(run).spec.image == str(path)
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert main(["resume", str(run), "--retry-failed", "--quiet"]) == 0
        assert same_partition(labels(tmp_path / "out.zarr"), truth)
        (tmp_path / "out.zarr").rename(tmp_path / f"done-{path.name.replace('{z}', '')}.zarr")


def test_a_run_of_a_file_goes_on_where_the_file_is_now_and_only_for_the_same_pixels(files, tmp_path, capsys):
    path = tmp_path / "turned.tif"
    run = interrupted(tmp_path, path, ("--axes", "xzy"))
    moved = path.rename(tmp_path / "moved.tif")
    assert main(["resume", str(run), "--retry-failed", "--quiet"]) == 1
    assert "turned.tif does not exist" in capsys.readouterr().err
    tifffile.imwrite(path, STACK.transpose(2, 0, 1) + 1, metadata={"axes": "QYX"})
    assert main(["resume", str(run), "--retry-failed", "--quiet"]) == 1
    assert "pixels of the image differ" in capsys.readouterr().err
    assert main(["resume", str(run), "--retry-failed", "--image", str(moved), "--quiet"]) == 0
    assert same_partition(labels(tmp_path / "out.zarr"), ndimage.label(STACK > 1500)[0])


def cells(tile):
    return ndimage.label(tile > 1500)[0]


def test_a_run_of_python_goes_on_too_and_needs_no_output(files, tmp_path):
    path, truth = tmp_path / "scan.h5" / "raw" / "data", ndimage.label(STACK > 1500)[0]
    ask = {"tile_shape": (3, 64, 64), "overlap": (0, 8, 8), "workers": 1, "progress": False}

    def stop(event):
        if isinstance(event, TileDone) and event.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(path, cells, output=tmp_path / "out.zarr", on_event=stop, **ask)
    run = tmp_path / "out.zarr.seamlabel" / "labels"
    assert read_stored(run).spec.image == str(path)
    assert same_partition(np.asarray(seamlabel.resume(run, backend=cells, progress=False).labels), truth)
    assert same_partition(np.asarray(seamlabel.segment(path, cells, **ask).labels), truth)


def test_axes_that_are_said_later_make_no_other_run(tmp_path):
    def stop(event):
        if isinstance(event, TileDone) and event.done == 5:
            raise KeyboardInterrupt

    ask = {"tile_shape": (3, 64, 64), "overlap": (0, 8, 8), "workers": 1, "output": tmp_path / "o.zarr"}
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(STACK, cells, on_event=stop, progress=False, **ask)
    found = seamlabel.segment(STACK, cells, axes="ZYX", progress=False, **ask)
    assert same_partition(np.asarray(found.labels), ndimage.label(STACK > 1500)[0])


def test_tiles_of_a_kept_run_are_segmented_again_from_where_the_file_is_now(files, tmp_path, capsys):
    path, out = tmp_path / "turned.tif", tmp_path / "o.zarr"
    assert main(["segment", str(path), "--axes", "xzy", "--output", str(out), "--keep", *VALUE]) == 0
    before, moved = labels(out), path.rename(tmp_path / "moved.tif")
    again = ["merge", f"{out}.seamlabel/labels", "--again", "0", "--quiet"]
    assert main(again) == 1
    assert "turned.tif does not exist" in capsys.readouterr().err
    assert main([*again, "--image", str(moved)]) == 0
    assert same_partition(labels(out), before)


def test_a_run_file_and_what_is_copied_say_the_axes(files, tmp_path):
    path, saved = tmp_path / "turned.tif", str(tmp_path / "run.json")
    ask = ["segment", str(path), "--axes", "xzy", "--output", str(tmp_path / "o.zarr"), *VALUE]
    assert main([*ask, "--save-spec", saved]) == 0
    assert main(["segment", "--spec", saved, "--name", "again", "--quiet"]) == 0
    spec = RunSpec.from_json((tmp_path / "run.json").read_text())
    assert "--axes xzy" in as_command(spec)
    assert as_python(spec).count('axes="xzy"') == 1


def test_what_cannot_be_read_or_written_says_what_to_do(files, tmp_path, capsys):
    (tmp_path / "pic.czi").write_bytes(b"some microscope's own")
    (tmp_path / "notes.txt").write_text("no image")
    for command in ("segment", "info", "measure-overlap"):
        for name, says in [
            ("pic.czi", ("pip install", "or save it as TIFF or OME-Zarr")),
            ("notes.txt", ("its ending is none of .tif", "or save it as TIFF or OME-Zarr")),
            ("scan.h5", ("holds 2 datasets", "scan.h5/NAME: other (180 x 200), raw/data (3 x 180 x 200)")),
            ("scan.h5/none", ("holds no dataset 'none'", "raw/data")),
            ("two.ome.tif", ("holds 2 images", "two.ome.tif/1: ")),
            ("two.ome.tif/5", ("has no series 5",)),
            ("none.tif", ("does not exist",)),
        ]:
            assert main([command, str(tmp_path / name)]) == 1
            told = capsys.readouterr().err
            assert all(one in told for one in says), told
            assert "Traceback" not in told
    assert main(["segment", str(tmp_path / "scan.tif")]) == 2
    assert f"--output: labels cannot be written into {tmp_path / 'scan.tif'}" in capsys.readouterr().err
    assert main(["segment", str(tmp_path / "turned.tif"), "--output", str(tmp_path / "o.zarr")]) == 1
    assert "--axes" in capsys.readouterr().err
    with pytest.raises(ImageError, match="does not exist"):
        seamlabel.segment(tmp_path / "scan" / "none.tif")
