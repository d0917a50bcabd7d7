"""Where labels may go is known before anything is written there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from seamlabel.errors import OutputError
from seamlabel.io.ngff.documents import LOCK
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.places import obstacle
from seamlabel.io.sources import image_info, open_source

PIXELS = np.zeros((20, 30), "uint8")


def forbid(monkeypatch, folder):
    """Let the system say that this folder may not be written to: root, who runs tests too, may."""
    access = os.access
    folder = folder.resolve()
    monkeypatch.setattr(
        os, "access", lambda place, mode: Path(place).resolve() != folder and access(place, mode)
    )


@pytest.mark.parametrize("output", ["s3://bucket/a.zarr", "file:///tmp/a.zarr", Path("gs://bucket/a.zarr")])
def test_a_remote_output_is_refused_and_no_folder_is_made(bench, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="remote stores"):
        image_info(PIXELS, output=output)
    with pytest.raises(OutputError, match="remote stores"):
        open_sink(bench.plan(PIXELS), output)
    assert not list(tmp_path.iterdir())


def test_the_home_folder_is_expanded(bench, monkeypatch):
    path = bench.image()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(bench.folder))
    info = image_info("~/image.zarr", output="~/out.zarr")
    assert info.path == open_image("~/image.zarr").info.path == str(path)
    assert open_source("~/image.zarr", info, 0, ()).info == info
    assert open_sink(bench.plan(path), "~/out.zarr").path == str(
        bench.folder / "out.zarr" / "labels" / "cells"
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_place_inside_an_array_or_a_label_gets_no_labels(bench, version):
    image = bench.image("yx", version)
    label = bench.commit(bench.plan(image))
    link = bench.folder / "link"
    link.symlink_to(label, target_is_directory=True)
    for output in (image / "0" / "c" / "x.zarr", image / "0", label, label / "x.zarr", link / "x.zarr"):
        assert not image_info(PIXELS, output=output).writable
        assert "inside" in obstacle(output)
        with pytest.raises(OutputError, match="inside"):
            open_sink(bench.plan(PIXELS), output).check()
    assert image_info(PIXELS, output=image.parent / "labels" / "x.zarr").writable


def test_a_label_of_another_program_gets_no_labels(bench):
    label = zarr.create_group(str(bench.folder / "labels" / "nuclei"), zarr_format=2)
    assert image_info(PIXELS, output=bench.folder / "labels" / "nuclei").writable
    label.attrs["image-label"] = {}
    assert not image_info(PIXELS, output=bench.folder / "labels" / "nuclei").writable


def test_tiles_need_a_folder_beside_the_store(bench, monkeypatch):
    image = bench.image(group="inner")
    assert image_info(image).writable
    forbid(monkeypatch, image.parent)
    assert not image_info(image).writable
    (bench.folder / "link.zarr").symlink_to(image, target_is_directory=True)
    assert not image_info(bench.folder / "link.zarr").writable
    assert not image_info(PIXELS, output=image.parent / "new.zarr").writable
    zarr.create_group(str(image.parent / "old.zarr"))
    assert not image_info(PIXELS, output=image.parent / "old.zarr").writable
    assert image_info(image, output=bench.folder / "new.zarr").writable


def test_a_check_tells_all_that_would_be_refused_and_writes_nothing(bench, monkeypatch):
    image = bench.image()
    bench.commit(bench.plan(image))
    others = [bench.plan(image, f"other{i}") for i in range(3)]
    late = bench.plan(image, "late", overwrite=True)
    late = replace(late, spec=late.spec.model_copy(update={"overwrite": False}))
    bench.commit(bench.plan(image, "late", min_size=3))
    (image / "labels" / "other0").mkdir()
    (image / "labels" / "other0" / "thesis.txt").write_text("years of work")
    (bench.folder / "file").touch()
    before = sorted(bench.folder.rglob("*"))
    with pytest.raises(OutputError, match="late exists"):
        open_sink(late).check()
    with pytest.raises(OutputError, match="not a zarr group"):
        open_sink(others[0]).check()
    for output in (bench.folder / "file", bench.folder / "file" / "x.zarr", image / "labels" / "other0"):
        with pytest.raises(OutputError, match=r"not a zarr group|cannot be made"):
            open_sink(bench.plan(PIXELS), output).check()
    open_sink(others[1]).check()
    open_sink(bench.plan(PIXELS), bench.folder / "new" / "x.zarr").check()
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda place, mode: Path(place) != image / "labels" and access(place, mode)
    )
    with pytest.raises(OutputError, match="cannot be written"):
        open_sink(others[2]).check()
    assert sorted(bench.folder.rglob("*")) == before


def test_what_a_stopped_writer_left_is_nobodys(bench):
    image = bench.image()
    for store in (image, bench.folder / "own.zarr"):
        chunk = store / "labels" / "cells" / "1.0" / "c" / "2" / "2"
        chunk.parent.mkdir(parents=True)
        chunk.write_bytes(b"late")
        (store / LOCK).touch()
        os.utime(store / LOCK, (0, 0))
        plan = bench.plan(image, output=str(store))
        open_sink(plan).check()
        label = bench.commit(plan)
        assert sorted(p.name for p in label.iterdir() if p.is_dir()) == ["2.0", "2.1"]
