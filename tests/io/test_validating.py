from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import seamlabel
from seamlabel import cli
from seamlabel.api import sample
from seamlabel.engine.saving import save_labels
from seamlabel.errors import ImageError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.labels import LabelWriter
from seamlabel.io.ngff.metadata import LabelRecord
from seamlabel.io.ngff.model import open_image
from seamlabel.io.ngff.validate import validate

SIDES = {"t": 2, "c": 3, "z": 5, "y": 45, "x": 61}


def pixels(box):
    return np.ones(box.shape, np.uint8)


def made(path, axes="yx", version="0.5", **more):
    """Write an image with two levels and labels "cells"."""
    shape = tuple(SIDES[a] for a in axes)
    units = [{"t": "second", "c": None}.get(a, "nanometer") for a in axes]
    how = {"axes": axes, "version": version, "units": units, "levels": 2, **more}
    write_image(path, shape, "uint8", pixels, scale=[0.5] * len(axes), **how)
    info = open_image(path).info
    save_labels(np.ones(info.label_values(shape), np.uint16), info, path, "cells")
    return path


def attributes(path):
    file = path / "zarr.json" if (path / "zarr.json").exists() else path / ".zattrs"
    return file, json.loads(file.read_text())


def change(path, edit):
    """Change the NGFF part of a group's attributes."""
    file, document = attributes(path)
    edit(document["attributes"]["ome"] if file.name == "zarr.json" else document)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "czyx", "tyx", "tczyx"])
def test_what_is_written_here_is_valid(tmp_path, axes, version):
    channels = {"channels": ["p", "q", "r"]} if "c" in axes else {}
    path = made(tmp_path / "a.zarr", axes, version, **channels)
    assert validate(path) == []
    assert validate(path / "labels" / "cells") == []
    assert validate(path / "labels") == []


def test_images_written_by_others_are_valid(bench, tmp_path):
    for version in ("0.4", "0.5"):
        for transforms in ("scale", "translation", "top"):
            assert (
                validate(
                    bench.image("czyx", version, name=f"{version}{transforms}.zarr", transforms=transforms)
                )
                == []
            )


def test_a_run_leaves_a_valid_store_also_in_an_output_of_its_own(tmp_path):
    path = sample(tmp_path / "a.zarr", (200, 220))
    seamlabel.segment(path, "threshold", progress=False)
    seamlabel.segment(path, "threshold", output=str(tmp_path / "out.zarr"), progress=False)
    assert validate(path) == []
    assert validate(tmp_path / "out.zarr") == []


def image_of(ome):
    return ome["multiscales"][0]


def first(ome):
    return image_of(ome)["datasets"][0]


def transforms(*entries):
    return lambda ome: first(ome).update(coordinateTransformations=list(entries))


def axes(*entries):
    return lambda ome: image_of(ome).update(axes=list(entries))


SCALE = {"type": "scale", "scale": [0.5, 0.5]}
Y, X = ({"name": name, "type": "space", "unit": "nanometer"} for name in "yx")
BROKEN = {
    "no axes": (lambda ome: image_of(ome).pop("axes"), "", "axes are missing"),
    "axes that are the same": (axes(Y, Y), "", "not distinct"),
    "axes without type": (axes({"name": "y"}, {"name": "x"}), "", "0 axes are of type 'space'"),
    "an axis too many": (axes({"name": "t", "type": "time"}, Y, X), "0", "2 dimensions"),
    "a unit that is not one": (axes(Y, {**X, "unit": "µm"}), "", "not one of NGFF's"),
    "no unit": (axes(Y, {"name": "x", "type": "space"}), "", "no unit"),
    "an order that is not one": (axes(Y, {"name": "x", "type": "time"}), "", "not in the order"),
    "no datasets": (lambda ome: image_of(ome).pop("datasets"), "", "no datasets"),
    "a dataset that is not there": (lambda ome: first(ome).update(path="9"), "9", "no array"),
    "a dataset elsewhere": (lambda ome: first(ome).update(path="../0"), "", "not a path inside"),
    "no transformations": (lambda ome: first(ome).pop("coordinateTransformations"), "0", "missing"),
    "two scales": (transforms(SCALE, SCALE), "0", "scale, scale"),
    "a translation first": (
        transforms({"type": "translation", "translation": [0, 0]}, SCALE),
        "0",
        "translation, scale",
    ),
    "a scale too short": (transforms({"type": "scale", "scale": [1]}), "0", "not one number for each axis"),
    "voxels of no size": (
        transforms({"type": "scale", "scale": [0, 1]}),
        "0",
        "not one number for each axis",
    ),
    "a scale that does not fit": (transforms({"type": "scale", "scale": [9, 9]}), "1", "do not fit"),
    "no version": (lambda ome: ome.pop("version"), "", "no 'version'"),
    "a version of zarr 2": (lambda ome: ome.update(version="0.4"), "", "does not go with zarr 3"),
    "a version nobody knows": (lambda ome: ome.update(version="7"), "", "not known"),
    "a colour that is none": (
        lambda ome: ome.update(omero={"channels": [{"color": "red"}]}),
        "",
        "hexadecimal",
    ),
    "channels that are none": (lambda ome: ome.update(omero={"channels": 3}), "", "no list of channels"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_an_image_is_told_with_its_place(tmp_path, case):
    edit, where, what = BROKEN[case]
    path = made(tmp_path / "a.zarr")
    change(path, edit)
    told = [one for one in validate(path) if what in one.what]
    assert [one.where for one in told[:1]] == [where]
    assert all(one.mend for one in told)
    assert all(one.wrong for one in told) or "unit" in case


def label(path):
    return path / "labels" / "cells"


def broken_labels(path, case):
    if case == "a scale of their own":
        change(label(path), lambda ome: first(ome)["coordinateTransformations"][0].update(scale=[1, 1]))
    elif case == "a level less":
        change(label(path), lambda ome: image_of(ome)["datasets"].pop())
    elif case == "listed nowhere":
        change(path / "labels", lambda ome: ome.update(labels=[]))
    elif case == "no list":
        change(path / "labels", lambda ome: ome.pop("labels"))
    elif case == "listed, but not there":
        change(path / "labels", lambda ome: ome["labels"].append("nothing"))
    elif case == "not called labels":
        change(label(path), lambda ome: ome.pop("image-label"))
    elif case == "a colour twice":
        color = {"label-value": 1, "rgba": [0, 0, 0, 0]}
        change(label(path), lambda ome: ome["image-label"].update(colors=[color, color]))
    else:
        shutil.rmtree(label(path))
        fractions = zarr.open_group(str(path), mode="a").create_group("labels/cells")
        fractions.create_array("0", shape=(45, 61), dtype="float32", dimension_names=["y", "x"])
        fractions.attrs["ome"] = {**attributes(path)[1]["attributes"]["ome"], "image-label": {}}


LABELS = {
    "a scale of their own": ("labels/cells/1.0", "is not that of the image"),
    "a level less": ("labels/cells", "1 levels, the image has 2"),
    "listed nowhere": ("labels/cells", "not listed"),
    "no list": ("labels", "list of labels is missing"),
    "listed, but not there": ("labels/nothing", "there is none"),
    "not called labels": ("labels/cells", "'image-label' is missing"),
    "a colour twice": ("labels/cells", "name a label twice"),
    "fractions": ("labels/cells", "not whole numbers"),
}


@pytest.mark.parametrize("case", LABELS)
def test_what_is_wrong_with_labels_is_told_with_its_place(tmp_path, case):
    where, what = LABELS[case]
    path = made(tmp_path / "a.zarr")
    broken_labels(path, case)
    told = [one for one in validate(path) if what in one.what]
    assert [one.where for one in told] == [where]
    assert told[0].mend
    assert told[0].wrong


def test_labels_left_half_written_are_told_with_what_to_do(tmp_path):
    path = made(tmp_path / "a.zarr")
    info = open_image(path).info
    writer = LabelWriter(LabelRecord("half", info), path)
    writer.begin("uint32", ((45, 61), (23, 31)))
    assert validate(path) == []  # somebody is at it
    next((path / "labels" / "half").glob("*/.seamlabel.owner")).unlink()
    (told,) = validate(path)
    assert (told.where, told.wrong) == ("labels/half", False)
    assert "half written" in told.what
    assert "delete" in told.mend


def plate(place, version="0.4"):
    zarr_format = 2 if version == "0.4" else 3
    root = zarr.create_group(str(place), zarr_format=zarr_format)
    wells = [("A/1", 0, 0), ("A/2", 0, 1), ("B/1", 1, 0)]
    told = {
        "rows": [{"name": "A"}, {"name": "B"}],
        "columns": [{"name": "1"}, {"name": "2"}],
        "wells": [{"path": path, "rowIndex": row, "columnIndex": column} for path, row, column in wells],
        "version": version,
    }
    put(root, {"plate": told}, version)
    for path, _, _ in wells:
        put(
            root.require_group(path),
            {"well": {"images": [{"path": "0"}, {"path": "1"}], "version": version}},
            version,
        )
        for number in "01":
            write_image(
                place / path / number,
                (40, 30),
                "uint8",
                pixels,
                axes="yx",
                version=version,
                units=["meter"] * 2,
            )
    return place


def put(group, values, version):
    group.attrs.update(values if version == "0.4" else {"ome": {"version": version, **values}})


def series(place):
    root = zarr.create_group(str(place), zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    for number in "01":
        write_image(place / number, (40, 30), "uint8", pixels, axes="yx", version="0.4", units=["meter"] * 2)
    root.require_group("OME").attrs["series"] = ["0", "1"]
    return place


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_plates_are_checked_with_all_their_fields(tmp_path, version):
    path = plate(tmp_path / "p.zarr", version)
    assert validate(path) == []
    assert validate(path / "A" / "1") == []
    change(path / "B" / "1" / "1", lambda ome: first(ome).update(path="9"))
    shutil.rmtree(path / "A" / "2" / "0")
    assert {one.where for one in validate(path)} >= {"B/1/1/9", "A/2/0"}
    assert validate(path, deep=False) == []
    change(path, lambda ome: ome["plate"]["wells"][0].update(rowIndex=1))
    change(path, lambda ome: ome["plate"]["wells"].append({"path": "C/9"}))
    told = " ".join(one.what for one in validate(path))
    assert "rowIndex" in told
    assert "in no row and column" in told


def test_collections_are_checked_with_all_their_images(tmp_path):
    path = series(tmp_path / "s.zarr")
    assert validate(path) == []
    shutil.rmtree(path / "1")
    assert [one.where for one in validate(path)] == ["1"]


def test_the_command_validates_for_people_and_programs(tmp_path, capsys):
    path = made(tmp_path / "a.zarr")
    assert cli.main(["validate", str(path)]) == 0
    assert capsys.readouterr().out == "valid\n"
    change(path, axes(Y, {"name": "x", "type": "space"}))
    assert cli.main(["validate", str(path)]) == 0  # advice breaks nothing
    assert "advice     axis x has no unit. Add it" in capsys.readouterr().out
    change(path, lambda ome: image_of(ome).pop("axes"))
    assert cli.main(["validate", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["valid"]
    assert told["findings"][0] == {
        "where": "",
        "what": "axes are missing",
        "mend": "Add them: a name, a type and a unit for every dimension",
        "wrong": True,
    }
    assert cli.main(["validate", str(tmp_path)]) == 1
    assert "not a zarr group" in capsys.readouterr().err


def test_info_tells_all_of_an_image(tmp_path, capsys):
    path = made(tmp_path / "a.zarr", "cyx", channels=["DAPI", "GFP", "RFP"])
    seamlabel.segment(str(path), "threshold", channels=["GFP"], name="nuclei", progress=False)
    change(path / "labels" / "cells", lambda ome: image_of(ome)["datasets"].pop())
    assert cli.main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    for part in (
        "OME-Zarr 0.5 (zarr 3), image, uint8",
        "DAPI #FFFFFF, GFP #00FF00",
        "level 1    3 x 23 x 31",
        "blosc (zstd)",
        "voxel 0.5 x 1 nanometer x 1 nanometer",
        "cells: uint32, by seamlabel",
        "nuclei: uint32, by seamlabel 0.1.0, threshold",
        "wrong      labels/cells: it has 1 levels, the image has 2. Write",
    ):
        assert part in text
    assert cli.main(["info", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["store"], told["zarr_format"]) == ("image", "folder", 3)
    assert told["labels"] == ["cells", "nuclei"]
    assert told["arrays"][0]["files"] == sum(file.is_file() for file in (path / "0").rglob("*"))
    assert told["arrays"][0]["bytes"] == sum(
        file.stat().st_size for file in (path / "0").rglob("*") if file.is_file()
    )
    assert told["made"]["nuclei"]["spec"]["channels"] == ["GFP"]
    assert told["findings"][0]["where"] == "labels/cells"


def test_info_tells_of_shards_zips_and_labels(tmp_path, capsys):
    path = made(tmp_path / "a.zarr")
    shutil.make_archive(str(tmp_path / "z"), "zip", path)
    assert cli.main(["info", str(tmp_path / "z.zip")]) == 0
    assert "image in a zip file" in capsys.readouterr().out
    assert cli.main(["info", str(path / "labels" / "cells")]) == 0
    assert "(zarr 3), label, uint" in capsys.readouterr().out
    group = zarr.create_group(str(tmp_path / "s.zarr"))
    group.create_array(
        "0", shape=(64, 64), chunks=(16, 16), shards=(32, 64), dtype="uint8", dimension_names=["y", "x"]
    )
    transform = [{"type": "scale", "scale": [1, 1]}]
    image = {"axes": [Y, X], "datasets": [{"path": "0", "coordinateTransformations": transform}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    assert cli.main(["info", str(tmp_path / "s.zarr")]) == 0
    assert "chunks 16 x 16 in shards of 32 x 64, zstd" in capsys.readouterr().out


def test_info_tells_how_to_choose_from_plates_and_collections(tmp_path, capsys):
    path = plate(tmp_path / "p.zarr")
    assert cli.main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "OME-Zarr 0.4 (zarr 2), plate of 2 x 2, 3 wells, 6 fields" in text
    assert "B/1/1  yx 40 x 30" in text
    assert f"Choose one: seamlabel info {path}/A/1/0" in text
    assert cli.main(["info", str(path / "A" / "1")]) == 0
    assert "well of 2 fields" in capsys.readouterr().out
    assert cli.main(["info", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"][-1] == {"path": "B/1/1", "full": f"{path}/B/1/1", "well": "B/1"}
    for image in told["images"]:
        assert open_image(image["full"]).info.shape == (40, 30)
    assert cli.main(["info", str(series(tmp_path / "s.zarr"))]) == 0
    text = capsys.readouterr().out
    assert "collection of 2 images" in text
    assert f"seamlabel info {tmp_path}/s.zarr/0" in text


def test_very_many_very_small_files_are_advised_against(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("seamlabel.info_command.MANY_FILES", 10)
    path = made(tmp_path / "a.zarr", chunks=(8, 8))
    assert cli.main(["info", str(path)]) == 0
    assert "advice     0: 49 files of" in capsys.readouterr().out


INNER = [
    *("path", "axes", "datasets", "coordinateTransformations", "type", "scale", "name", "version", "images"),
    *("rows", "columns", "wells", "channels", "colors", "label-value", "source", "image", "unit", "series"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text("yx/.0", max_size=3) | st.floats(allow_nan=True),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(INNER), part, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["multiscales", "omero", "plate", "well", "labels", "image-label", "version", "bioformats2raw.layout"]
)


@settings(max_examples=150)
@given(st.dictionaries(KEYS, JSON, max_size=4), st.booleans())
def test_whatever_attributes_say_info_and_validate_tell_of_it(tmp_path_factory, ngff, new):
    path = tmp_path_factory.mktemp("any") / "a.zarr"
    group = zarr.create_group(str(path), zarr_format=3 if new else 2)
    group.create_array("0", shape=(4, 4), dtype="uint8")
    file = path / ("zarr.json" if new else ".zattrs")
    document = {**json.loads(file.read_text()), "attributes": {"ome": ngff}} if new else ngff
    file.write_text(json.dumps(document))
    for one in validate(path):
        assert one.what
        assert one.mend
        assert str(one).isprintable()
    assert cli.main(["info", str(path)]) in (0, 1)


def test_documents_that_cannot_be_read_are_findings_where_they_lie_below(tmp_path):
    path = made(tmp_path / "a.zarr")
    (path / "1" / "zarr.json").write_text("{")
    (told,) = [one for one in validate(path) if one.where == "1"]
    assert "is not JSON" in told.what
    (path / "zarr.json").write_text("{")
    with pytest.raises(ImageError, match="not JSON"):
        validate(path)


def test_info_tells_of_labels_in_a_store_of_their_own(tmp_path, capsys):
    path = sample(tmp_path / "a.zarr", (200, 220))
    output = tmp_path / "out.zarr"
    seamlabel.segment(path, "threshold", output=str(output), name="cells", keep=True, progress=False)
    assert cli.main(["info", str(output)]) == 0
    text = capsys.readouterr().out
    assert "labels alone, without an image (zarr 3)" in text
    assert "cells: uint32, by seamlabel" in text
    assert f"seamlabel info {output}/labels/cells" in text
    assert f"seamlabel merge {output}.seamlabel/cells" in text
    assert cli.main(["info", str(output), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["labels"] == ["cells"]
    assert told["kept_runs"] == [f"{output}.seamlabel/cells"]
    assert cli.main(["info", str(output / "labels")]) == 0
    assert "cells: uint32" in capsys.readouterr().out
