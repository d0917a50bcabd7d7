import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from seamlabel.cli import main
from seamlabel.engine.segment import whole_image_labels
from seamlabel.io.sources import image_info, open_labels, open_source
from seamlabel.plan import resolve
from seamlabel.spec import RunSpec
from seamlabel.testing import same_partition


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "tissue.zarr"
    assert main(["sample", str(path), "--shape", "600,500"]) == 0
    return str(path)


def test_segment_writes_the_labels_of_the_whole_image(image, capsys):
    code = main(
        [
            "segment",
            image,
            "--backend",
            "watershed",
            "--tile",
            "128",
            "--name",
            "cells",
            "--set",
            "diameter=24",
        ]
    )
    assert code == 0
    assert "objects in" in capsys.readouterr().out
    info = image_info(image)
    plan = resolve(RunSpec(image=image, backend="watershed", params={"diameter": 24}), info)
    whole = whole_image_labels(plan, open_source(image, info, 0, ()))
    assert same_partition(np.asarray(open_labels(f"{image}/labels/cells")[0]), whole)


def test_plan_only_says_what_would_be_done(image, capsys):
    assert main(["segment", image, "--tile", "128,200", "--overlap", "9", "--plan"]) == 0
    assert "5 x 3 = 15" in capsys.readouterr().out
    assert image_info(image).labels == ()


def test_json_gives_one_event_a_line(image, capsys):
    assert main(["segment", image, "--json", "--tile", "256"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "RunStarted"
    assert events[-1]["event"] == "RunFinished"
    assert events[-1]["n_objects"] > 50


def test_a_run_file_does_the_same_again(image, tmp_path, capsys):
    saved = str(tmp_path / "run.json")
    assert (
        main(["segment", image, "--tile", "200", "--set", "smoothing=2", "--save-spec", saved, "--quiet"])
        == 0
    )
    assert main(["segment", "--spec", saved, "--name", "again", "--quiet"]) == 0
    one, other = (np.asarray(open_labels(f"{image}/labels/{n}")[0]) for n in ("labels", "again"))
    assert np.array_equal(one, other)


def test_a_function_in_a_file_is_a_backend(image, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from scipy import ndimage\ndef fn(tile):\n    return ndimage.label(tile > 2000)[0]\n")
    assert (
        main(["segment", image, "--function", f"{file}:fn", "--overlap", "8", "--tile", "128", "--quiet"])
        == 0
    )
    pixels = open_source(image, image_info(image), 0, ()).arrays[0][:]
    assert same_partition(
        np.asarray(open_labels(f"{image}/labels/labels")[0]), ndimage.label(pixels > 2000)[0]
    )


def test_a_function_gets_its_arguments_and_errors_tell_its_line(image, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "from scipy import ndimage\ndef fn(tile, limit, how='plain'):\n    assert how == 'plain'\n"
        "    return ndimage.label(tile > limit)[0]\n"
    )
    command = ["segment", image, "--function", f"{file}:fn", "--tile", "128", "--quiet", "--overwrite"]
    assert main([*command, "--set", "limit=2000"]) == 0
    assert main([*command, "--set", 'keywords={"limit": 2000}']) == 0
    assert main([*command, "--set", "keywords=limit"]) == 2
    assert "--set keywords" in capsys.readouterr().err
    assert main([*command, "--set", "limit=2000", "--set", "how=odd"]) == 1
    assert "(mine.py, line 3)" in capsys.readouterr().err


def test_arguments_in_a_run_file_stay_what_they_are(image, tmp_path):
    file, saved = tmp_path / "mine.py", tmp_path / "run.json"
    file.write_text(
        "from scipy import ndimage\ndef fn(tile, word):\n    assert word == '5'\n"
        "    return ndimage.label(tile > 2000)[0]\n"
    )
    params = {"target": f"{file}:fn", "keywords": {"word": "5"}}
    saved.write_text(RunSpec(image=image, backend="function", params=params).to_json())
    assert main(["segment", "--spec", str(saved), "--quiet"]) == 0


def test_the_demo_leaves_other_peoples_folders_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["demo", "--out", str(tmp_path), "--shape", "200,200"]) == 1
    assert "holds other things" in capsys.readouterr().err
    assert main(["demo", "--out", str(tmp_path / "new"), "--shape", "100"]) == 2


def test_a_run_file_that_is_no_text_is_told_so(image, tmp_path, capsys):
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    assert main(["segment", image, "--spec", str(tmp_path / "run.json")]) == 2
    assert "no text" in capsys.readouterr().err


def test_info_tells_axes_levels_and_labels(image, capsys):
    main(["segment", image, "--name", "cells", "--quiet"])
    capsys.readouterr()
    assert main(["info", image]) == 0
    text = capsys.readouterr().out
    assert "y (space), x (space)" in text
    assert "600 x 500" in text
    assert "cells" in text
    assert main(["info", image, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["cells"]


def test_backends_lists_all_and_tells_of_one(capsys):
    assert main(["backends"]) == 0
    assert "watershed" in capsys.readouterr().out
    assert main(["backends", "threshold"]) == 0
    assert "smoothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--tile", "0"], "--tile: 0 is below 1"),
        (["--tile", "big"], "--tile: 'big' is not understood"),
        (["--overlap", "1,2,3"], "overlap"),
        (["--backend", "tresh"], "Did you mean 'threshold'?"),
        (["--set", "sigma"], "name=value"),
        (["--set", "smoothin=1"], "Did you mean 'smoothing'?"),
        (["--channels", "DAPI"], "no channel axis"),
        (["--level", "9"], "level"),
        (["--merge", "glue"], "--merge: 'glue' is not one of"),
        (["--set", "smoothing=-1"], "--set smoothing: -1"),
        (["--spec", "no-such.json"], "cannot read"),
    ],
)
def test_wrong_arguments_are_told_by_field(image, capsys, extra, says):
    assert main(["segment", image, *extra]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err


def test_labels_that_exist_need_overwrite(image, capsys):
    assert main(["segment", image, "--quiet"]) == 0
    assert main(["segment", image, "--quiet"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["segment", image, "--quiet", "--overwrite"]) == 0


@pytest.mark.parametrize("kind", ["missing", "folder", "file"])
def test_what_is_no_image_is_told_so(tmp_path, capsys, kind):
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("hello")
    assert main(["segment", str(path)]) == 1
    err = capsys.readouterr().err
    assert "thing" in err
    assert "Traceback" not in err


def test_a_function_that_fails_everywhere_ends_the_run(image, tmp_path, capsys):
    file = tmp_path / "bad.py"
    file.write_text("def fn(tile):\n    return None\n")
    assert main(["segment", image, "--function", f"{file}:fn", "--tile", "128"]) == 1
    assert "returned nothing" in capsys.readouterr().err
    assert main(["segment", image, "--function", f"{file}:gn"]) == 1
    assert "no function 'gn'" in capsys.readouterr().err


def test_some_failing_tiles_make_the_run_incomplete(image, tmp_path, capsys):
    file = tmp_path / "some.py"
    file.write_text(
        "from scipy import ndimage\ndef fn(tile):\n    if tile.mean() > 1e9 or tile[0, 0] == {}:\n"
        "        raise ValueError('this one')\n    return ndimage.label(tile > 2000)[0]\n"
    )
    pixels = open_source(image, image_info(image), 0, ()).arrays[0][:]
    plan = resolve(RunSpec(image=image, tile_shape=128, overlap=8), image_info(image))
    corners = [int(pixels[t.read.start]) for t in plan.grid]
    target = next(v for v in corners[5:] if corners.count(v) == 1)
    file.write_text(file.read_text().format(target))
    code = main(["segment", image, "--function", f"{file}:fn", "--tile", "128", "--overlap", "8"])
    assert code == 3
    assert "this one" in capsys.readouterr().err
    assert image_info(image).labels == ()


def test_the_demo_ends_with_a_picture_and_where_things_are(tmp_path, capsys):
    from PIL import Image

    assert main(["demo", "--out", str(tmp_path / "demo"), "--shape", "1200,1100"]) == 0
    text = capsys.readouterr().out
    assert "0 merged wrongly, 0 split" in text
    with Image.open(tmp_path / "demo" / "tissue.png") as picture:
        assert min(picture.size) > 500
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 200


def test_python_m_seamlabel_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "seamlabel", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("seamlabel ")
