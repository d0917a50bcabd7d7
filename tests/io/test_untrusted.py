"""Metadata made to do harm are refused before anything is read, by everybody who opens the image."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hostile import NGFF_AXES, SIDE, Hostile, refuse_both, refused, segment

from seamlabel.io.sources import image_info

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("version", [2, 3])
def test_the_image_as_it_should_be_is_segmented(tmp_path, version):
    path = Hostile(tmp_path, version).write()
    assert image_info(path).shape == (SIDE, SIDE)
    assert segment(path).n_objects == 1


V2_ARRAYS = {
    "object pixels, pickled": ({"dtype": "|O", "filters": [{"id": "pickle"}]}, "not an array of numbers"),
    "object pixels, as JSON": ({"dtype": "|O", "filters": [{"id": "json2"}]}, "not an array of numbers"),
    "object pixels, of any length": (
        {"dtype": "|O", "filters": [{"id": "vlen-utf8"}]},
        "not an array of num",
    ),
    "structured pixels": ({"dtype": [["a", "<i4"], ["b", "|O"]]}, "not an array of numbers"),
    "void pixels": ({"dtype": "|V8"}, "not an array of numbers"),
    "pixels of text": ({"dtype": "<U4"}, "not an array of numbers"),
    "pixels of bytes": ({"dtype": "|S4"}, "not an array of numbers"),
    "complex pixels": ({"dtype": "<c8"}, "not an array of numbers"),
    "times as pixels": ({"dtype": "<M8[ns]"}, "not an array of numbers"),
    "a number as type": ({"dtype": 7}, "not an array of numbers"),
    "pickle as a filter": ({"filters": [{"id": "pickle", "protocol": 5}]}, "pickle.*not one of those"),
    "pickle as compressor": ({"compressor": {"id": "pickle"}}, "pickle.*not one of those"),
    "JSON as a filter": ({"filters": [{"id": "json2"}]}, "json2.*not one of those"),
    "text as a filter": ({"filters": [{"id": "vlen-utf8"}]}, "vlen-utf8.*not one of those"),
    "an unknown codec": ({"compressor": {"id": "evil"}}, "evil.*not one of those"),
    "a codec without a name": ({"compressor": {}}, "not one of those"),
    "a codec that is a number": ({"compressor": 3}, "not one of those"),
    "filters that are none": ({"filters": "pickle"}, "no list"),
    "a filter that makes objects": (
        {"filters": [{"id": "astype", "encode_dtype": "|u1", "decode_dtype": "|O"}]},
        "not an array of numbers",
    ),
    "no shape": ({"shape": None}, "shape None"),
    "negative shape": ({"shape": [-1, 16]}, "whole numbers from 0"),
    "huge shape": ({"shape": [1 << 62, 1 << 62]}, "whole numbers from 0"),
    "large shape": ({"shape": [1 << 39, 1 << 39]}, "voxels"),
    "broken shape": ({"shape": [16.5, 16]}, "whole numbers"),
    "true as shape": ({"shape": [True, 16]}, "whole numbers"),
    "text as shape": ({"shape": ["16", "16"]}, "whole numbers"),
    "no number as shape": ({"shape": [float("nan"), 16]}, "whole numbers"),
    "infinite shape": ({"shape": [float("inf"), 16]}, "whole numbers"),
    "an array without axes": ({"shape": [], "chunks": []}, "list of 1 to 8"),
    "twenty axes": ({"shape": [1] * 20, "chunks": [1] * 20}, "list of 1 to 8"),
    "chunks of 0": ({"chunks": [0, 16]}, "chunk shape.*from 1"),
    "negative chunks": ({"chunks": [-16, 16]}, "chunk shape.*from 1"),
    "broken chunks": ({"chunks": [1.5, 16]}, "chunk shape.*whole numbers"),
    "true as chunks": ({"chunks": [True, True]}, "chunk shape.*whole numbers"),
    "chunks of another rank": ({"chunks": [16]}, "1 dimensions do not belong to a shape of 2"),
    "chunks that fill the memory": ({"chunks": [1 << 24, 1 << 24]}, "more memory than is free"),
    "chunks far beyond the array": ({"chunks": [1 << 15, 1 << 14]}, "times the whole array"),
    "chunks beyond all numbers": ({"chunks": [1 << 63, 2]}, "chunk shape"),
    "format true": ({"zarr_format": True}, "neither 2 nor 3"),
    "format 4": ({"zarr_format": 4}, "neither 2 nor 3"),
    "a fill value that is none": ({"fill_value": {"a": []}}, "cannot be opened"),
    "an unknown order": ({"order": "Z"}, "cannot be opened"),
}


@pytest.mark.parametrize("case", V2_ARRAYS)
def test_arrays_of_zarr_2_are_refused(tmp_path, case):
    hostile = Hostile(tmp_path)
    change, message = V2_ARRAYS[case]
    hostile.array |= change
    refuse_both(hostile.write(), message)


def grid(*chunks, name="regular"):
    return {"chunk_grid": {"name": name, "configuration": {"chunk_shape": list(chunks)}}}


def shards(*inner, codecs=({"name": "bytes"},)):
    inside = {"chunk_shape": list(inner), "codecs": list(codecs), "index_codecs": [{"name": "bytes"}]}
    return {"name": "sharding_indexed", "configuration": inside}


V3_ARRAYS = {
    "text as pixels": ({"data_type": "string"}, "not an array of numbers"),
    "raw pixels": ({"data_type": "r64"}, "not an array of numbers"),
    "complex numbers": ({"data_type": "complex64"}, "not an array of numbers"),
    "a type with settings": ({"data_type": {"name": "structured"}}, "not an array of numbers"),
    "pickle as codec": ({"codecs": [{"name": "numcodecs.pickle"}]}, "pickle.*not one of those"),
    "text as codec": ({"codecs": [{"name": "vlen-utf8"}]}, "vlen-utf8.*not one of those"),
    "unknown codec": ({"codecs": [{"name": "bytes"}, {"name": "evil"}]}, "evil.*not one of those"),
    "unknown codec in shards": ({"codecs": [shards(8, 8, codecs=[{"name": "evil"}])]}, "evil"),
    "shards in shards in shards": (
        {"codecs": [shards(8, 8, codecs=[shards(4, 4, codecs=[shards(2, 2)])])]},
        "sharding_indexed.*not one of those",
    ),
    "no codecs": ({"codecs": []}, "no list of codecs"),
    "a hundred codecs": ({"codecs": [{"name": "bytes"}] * 100}, "no list of codecs"),
    "chunks that do not fill shards": ({"codecs": [shards(5, 5)]}, "do not fill shards"),
    "chunks of 0 in shards": ({"codecs": [shards(0, 8)]}, "in shards.*from 1"),
    "a shard of too many chunks": (
        {"shape": [1 << 13, 1 << 13], "codecs": [shards(1, 1)], **grid(1 << 13, 1 << 13)},
        "a shard has 67,108,864 chunks",
    ),
    "a shard that fills the memory": (
        {"codecs": [shards(1 << 14, 1 << 14)], **grid(1 << 24, 1 << 24)},
        "memory",
    ),
    "an unknown grid": (grid(16, 16, name="rectilinear"), "not regular"),
    "no grid": ({"chunk_grid": None}, "not regular"),
    "an unknown extension": ({"evil": {"must_understand": True}}, "extension 'evil'"),
    "an extension that says nothing": ({"evil": 1}, "extension 'evil'"),
    "storage transformers": ({"storage_transformers": [{"name": "evil"}]}, "storage transformers"),
    "negative chunk": (grid(-1, 16), "chunk shape.*from 1"),
    "an unknown chunk key": ({"chunk_key_encoding": {"name": "evil"}}, "cannot be opened"),
}


@pytest.mark.parametrize("case", V3_ARRAYS)
def test_arrays_of_zarr_3_are_refused(tmp_path, case):
    hostile = Hostile(tmp_path, 3)
    change, message = V3_ARRAYS[case]
    hostile.array |= change
    refuse_both(hostile.write(), message)


def datasets(path="0", **more):
    return {"datasets": [{"path": path, **more}]}


def scaled(kind="scale", values=(1.0, 1.0)):
    return datasets(coordinateTransformations=[{"type": kind, kind: list(values)}])


IMAGES = {
    "a level above": (datasets("../other"), "not a path inside"),
    "a level above, hidden": (datasets("a/../../other"), "not a path inside"),
    "a level above, for Windows": (datasets("..\\other"), "not a path inside"),
    "an absolute level": (datasets("/etc"), "not a path inside"),
    "a level on a drive": (datasets("C:/other"), "not a path inside"),
    "a level elsewhere": (datasets("s3://bucket/0"), "not a path inside"),
    "the image as its own level": (datasets("."), "not a path inside"),
    "a level of an empty name": (datasets(""), "not a path inside"),
    "a level with a zero": (datasets("0\0"), "not a path inside"),
    "a level that paints the terminal": (datasets("\x1b[2J0"), "not a path inside"),
    "a level that turns the text": (datasets("\u202e0"), "not a path inside"),
    "a level of a huge name": (datasets("0" * 100_000), "not a path inside"),
    "a level that is a number": (datasets(0), "not a path inside"),
    "no level": ({"datasets": []}, "no datasets"),
    "a thousand levels": ({"datasets": [{"path": "0"}] * 1000}, "1,000 datasets"),
    "infinite scale": (scaled(values=(float("inf"), 1)), "finite numbers"),
    "scale that is no number": (scaled(values=(float("nan"), 1)), "finite numbers"),
    "scale of 0": (scaled(values=(0, 1)), "not above 0"),
    "negative scale": (scaled(values=(-1, 1)), "not above 0"),
    "true as scale": (scaled(values=(True, 1)), "finite numbers"),
    "text as scale": (scaled(values=("1", 1)), "finite numbers"),
    "huge scale": (scaled(values=(10**400, 1)), "finite numbers"),
    "scale of another rank": (scaled(values=(1, 1, 1)), "one per axis"),
    "infinite translation": (scaled("translation", (float("inf"), 1)), "finite numbers"),
    "translation of another rank": (scaled("translation", (1,)), "one per axis"),
    "scales that multiply to too much": (
        datasets(coordinateTransformations=[{"type": "scale", "scale": [1e29, 1]}] * 2),
        "voxels of size",
    ),
    "an unknown transformation": (scaled("rotation"), "not supported"),
    "x twice": ({"axes": [{"name": "x", "type": "space"}] * 2}, "not distinct"),
    "axes for twenty": ({"axes": NGFF_AXES * 10}, "at most 8"),
    "axes that are a number": ({"axes": 5}, "at most 8"),
    "an axis that is a number": ({"axes": [1, 2]}, "name or type 1"),
    "an axis of a huge name": ({"axes": ["y" * 10**6, "x"]}, "name or type"),
    "an axis of a huge type": ({"axes": [NGFF_AXES[0], {"name": "x", "type": "s" * 99}]}, "name or type"),
    "an axis that paints the terminal": ({"axes": ["\x1b]0;x\x07", "x"]}, "name or type"),
    "axes of another rank": ({"axes": ["z", "y", "x"]}, "3 axes"),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("case", IMAGES)
def test_images_are_refused(tmp_path, case, version):
    (tmp_path / "other").mkdir()
    hostile = Hostile(tmp_path, version)
    change, message = IMAGES[case]
    hostile.image |= change
    refuse_both(hostile.write(), message)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", 5, "\x1b[2J", "x" * 1000, "c:\\x"])
def test_lists_of_labels_that_lead_elsewhere_are_refused(tmp_path, name):
    path = Hostile(tmp_path).write()
    (path / "labels").mkdir()
    (path / "labels" / ".zgroup").write_text('{"zarr_format": 2}')
    (path / "labels" / ".zattrs").write_text(json.dumps({"labels": ["good", name]}))
    refuse_both(path, "lists the label")


def test_what_is_shown_steers_no_terminal(tmp_path, capsys):
    from seamlabel.cli import main

    hostile = Hostile(tmp_path)
    evil = "\x1b]0;owned\x07\u202e\r\nDAPI" + "x" * 10_000
    hostile.array |= {"shape": [2, SIDE, SIDE], "chunks": [1, SIDE, SIDE]}
    hostile.image["axes"] = [{"name": "c", "type": "channel"}, *NGFF_AXES]
    hostile.image["axes"][2] = {"name": "x", "type": "space", "unit": evil}
    hostile.image["datasets"] = [{"path": "0"}]
    hostile.image["version"] = evil
    hostile.attrs["omero"] = {"channels": [{"label": evil}, {"label": ["\x1b"]}]}
    path = hostile.write()
    info = image_info(path)
    assert "DAPI" in info.channels[0]
    assert main(["info", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 2000


def test_harmless_oddities_are_read(tmp_path):
    hostile = Hostile(tmp_path)
    hostile.attrs["notes"] = {"not a number": float("nan"), "deep": [[[[1]]]]}
    hostile.image["datasets"][0]["coordinateTransformations"].append(
        {"type": "translation", "translation": [-5, 3.5]}
    )
    info = image_info(hostile.write())
    assert np.allclose(info.levels[0].translation, (-5, 3.5))


def test_masks_are_refused_as_images_are(tmp_path):
    mask = Hostile(tmp_path / "mask")
    mask.array["compressor"] = {"id": "pickle"}
    path = mask.write()
    with refused(tmp_path, "pickle.*not one of those"):
        segment(np.ones((SIDE, SIDE), np.uint8), skip_empty=path)
