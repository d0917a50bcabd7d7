"""Fields of plates, series of collections, several images in a group: the path chooses, labels go there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from odd_stores import Odd, axes_of, consolidate, plate, series, zipped_folder

import seamlabel
from seamlabel.cli import main
from seamlabel.errors import SpecError
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import image_info, open_labels

VERSIONS = ("0.4", "0.5")
SETTINGS = ["--backend", "threshold", "--tile", "16", "--executor", "serial", "--quiet"]


def labels_below(folder):
    return sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("labels/cells"))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_field_of_a_plate_gets_labels_of_its_own_that_consolidated_groups_above_show(tmp_path, version):
    root = plate(Odd(version=version), tmp_path)
    well = root / "B" / "03"
    consolidate(well)
    consolidate(root)
    for field in ("B/03/0", "B/03/1", "A/1/1"):
        assert main(["segment", str(root / field), "--name", "cells", *SETTINGS]) == 0
    assert labels_below(root) == ["A/1/1/labels", "B/03/0/labels", "B/03/1/labels"]
    for group, path in (
        (well, "1/labels/cells"),
        (root, "B/03/0/labels/cells"),
        (root, "A/1/1/labels/cells"),
    ):
        shown = zarr.open_group(str(group), mode="r", use_consolidated=True)
        assert np.array_equal(shown[f"{path}/1.0"][:], open_labels(group / path)[0])
        attributes = dict(shown[path].attrs)
        assert attributes.get("ome", attributes)["multiscales"][0]["datasets"][0]["path"] == "1.0"
    assert not list(tmp_path.rglob("*.seamlabel"))


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_of_an_only_image_lie_in_the_image_not_in_what_holds_it(tmp_path, version, capsys):
    root, image = series(Odd(version=version), tmp_path)
    assert main(["segment", str(root), "--name", "cells", *SETTINGS]) == 0
    assert labels_below(root) == ["0/labels"]
    assert image_info(root).path == str(image)
    assert main(["segment", str(root), "--name", "cells", *SETTINGS]) == 2
    assert "already has labels 'cells'" in capsys.readouterr().err
    assert main(["measure", str(root), "cells"]) == 0


def test_a_run_of_an_only_image_is_resumed_by_its_run_directory(tmp_path):
    root, image = series(Odd(), tmp_path)
    how = {"tile_shape": 16, "overlap": 4, "executor": "serial", "progress": False}
    kept = seamlabel.segment(root, "threshold", keep=True, **how)
    assert Path(kept.run_dir).parent == image.with_name("0.seamlabel")
    merged = seamlabel.remerge(kept.run_dir, iou=0.5, progress=False)
    assert merged.path == str(image / "labels" / "labels")


@pytest.fixture
def twins(tmp_path):
    """Return a group of two images; "raw" is dark."""
    odd = Odd(version="0.5")
    path = odd.write(tmp_path / "twins.zarr")
    for name in ("raw", "clean"):
        odd.write_array(path / name, (21, 30))
    zarr.open_array(str(path / "raw"), mode="r+")[...] = 0
    images = [{"name": n, "axes": axes_of("yx"), "datasets": [{"path": n}]} for n in ("raw", "clean")]
    odd.write_group(path, {"multiscales": images})
    return path


def test_the_path_of_a_level_chooses_one_of_several_images_in_a_group(twins):
    counts = {}
    for name in ("raw", "clean"):
        info = open_image(twins / name).info
        assert (info.path, info.levels[0].path) == (str(twins), name)
        result = seamlabel.segment(
            twins / name, "threshold", params={"value": 50}, name=name, executor="serial", progress=False
        )
        assert result.path == str(twins / "labels" / name)
        counts[name] = result.n_objects
    assert counts["raw"] == 0 < counts["clean"]
    assert open_image(twins / "raw").info.labels == ("raw", "clean")


def test_a_well_in_a_zip_file_is_chosen_by_its_path(tmp_path):
    odd = Odd()
    file, _ = zipped_folder(odd, tmp_path)
    (tmp_path / "plate").mkdir()
    root = plate(odd, tmp_path / "plate")
    made = shutil.make_archive(str(root), "zip", root)
    info = open_image(f"{made}/B/03/1").info
    assert info.path == f"{made}/B/03/1"
    assert not info.writable
    how = {"tile_shape": 16, "executor": "serial", "progress": False}
    result = seamlabel.segment(f"{made}/B/03/1", "threshold", output=tmp_path / "own.zarr", **how)
    assert (
        result.n_objects
        == seamlabel.segment(file, "threshold", output=tmp_path / "own2.zarr", **how).n_objects
    )
    with pytest.raises(SpecError):
        seamlabel.segment(file, "threshold", output=f"{made}/out.zarr", **how)


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize(
    ("steps", "scales"), [("first", (0.5, 1.0)), ("none", (1.0, 2.0)), ("scale", (0.5, 1))]
)
def test_a_level_that_says_no_scale_has_that_of_level_0_times_the_ratio_of_shapes(
    tmp_path, form, steps, scales
):
    image = Odd(version="0.4", form=form, steps=steps).write(tmp_path / "image.zarr")
    assert tuple(level.scale[0] for level in open_image(image).info.levels) == scales


def test_an_image_of_a_new_version_lies_where_its_levels_lead_not_where_that_leads_on(tmp_path):
    on = {"type": "scale", "scale": [9.0, 9.0], "input": {"name": "world"}, "output": {"name": "other"}}
    other = {"name": "other", "axes": axes_of("yx", "meter")}
    world = {"name": "world", "axes": axes_of("yx", "nanometer")}
    said = {"coordinateSystems": [other, world], "coordinateTransformations": [on]}
    info = open_image(Odd(version="0.6", image=said).write(tmp_path / "image.zarr")).info
    assert info.scale == (0.5, 0.25)
    assert info.units == ("nanometer", "nanometer")
