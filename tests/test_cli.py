import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from seamlabel.cli import main
from seamlabel.engine.whole import whole_image_labels
from seamlabel.io.ngff.images import write_image
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


def test_parts_of_an_image_are_segmented_alone_and_the_run_file_knows_them(image, tmp_path, capsys):
    saved = tmp_path / "run.json"
    boxes = ["--region", "0:100,:", "--region", "300:400, 499"]
    assert main(["segment", image, *boxes, "--tile", "128", "--save-spec", str(saved), "--quiet"]) == 0
    assert RunSpec.from_json(saved.read_text()).region == (
        ((0, 100), (0, None)),
        ((300, 400), (499, 500)),
    )
    labels = np.asarray(open_labels(f"{image}/labels/labels")[0])
    assert labels[:100].any()
    assert not labels[300:400, :200].any()
    again = ["--region", "0:100,:", "--name", "again", "--quiet"]
    assert main(["segment", "--spec", str(saved), *again]) == 0
    one = np.asarray(open_labels(f"{image}/labels/again")[0])
    assert np.array_equal(one[:200] > 0, labels[:200] > 0)
    assert not one[300:].any()


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
        (["--region", "a:b"], "--region: 'a:b' is not understood"),
        (["--region", "0:900,:"], "--region: a box reaches beyond the image along y. Level 0 has y 0:600"),
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


@pytest.fixture
def kept(image, capsys):
    assert main(["segment", image, "--tile", "128", "--set", "smoothing=1", "--keep", "--quiet"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"Merge again: seamlabel merge {image}.seamlabel/labels --iou")
    return f"{image}.seamlabel/labels"


def test_merge_does_the_merge_again_and_tells_what_it_came_to(image, kept, capsys):
    before = np.asarray(open_labels(f"{image}/labels/labels")[0])
    assert main(["merge", kept]) == 0
    told = capsys.readouterr().out
    assert "objects in" in told
    assert "joined of" in told
    assert "0 refused" in told
    assert np.array_equal(np.asarray(open_labels(f"{image}/labels/labels")[0]), before)
    assert main(["merge", kept, "--min-size", "800", "--iou", "0.9", "--name", "large", "--quiet"]) == 0
    large = np.asarray(open_labels(f"{image}/labels/large")[0])
    assert 0 < large.max() < before.max()
    assert np.bincount(large.ravel())[1:].min() >= 800


def test_merge_takes_edits_from_options_and_tables_and_forgets_them(image, kept, tmp_path, capsys):
    labels = np.asarray(open_labels(f"{image}/labels/labels")[0])
    points = [tuple(np.argwhere(labels == n)[0].tolist()) for n in (1, 2, 3)]
    one, two, three = (f"{y},{x}" for y, x in points)
    assert main(["merge", kept, "--join", f"{one}:{two}", "--remove", three, "--quiet"]) == 0
    assert np.asarray(open_labels(f"{image}/labels/labels")[0]).max() == labels.max() - 2
    table = tmp_path / "edits.csv"
    table.write_text(f"kind,y1,x1,y2,x2\njoin,{one},{three}\n")
    assert main(["merge", kept, "--no-edits", "--edits", str(table), "--quiet"]) == 0
    assert np.asarray(open_labels(f"{image}/labels/labels")[0]).max() == labels.max() - 1
    assert main(["merge", kept, "--cut", f"{one}:{three}"]) == 2
    assert "joined by other edits" in capsys.readouterr().err
    assert main(["merge", kept, "--no-edits", "--quiet"]) == 0
    assert np.array_equal(np.asarray(open_labels(f"{image}/labels/labels")[0]), labels)


def test_merge_replaces_labels_of_others_and_writes_tables_if_asked_to(image, kept, tmp_path, capsys):
    table = tmp_path / "again.csv"
    assert main(["merge", kept, "--name", "beside", "--quiet"]) == 0
    assert main(["merge", kept, "--name", "beside", "--quiet"]) == 2
    assert "already has labels 'beside'. Give another name, or --overwrite" in capsys.readouterr().err
    assert main(["merge", kept, "--name", "beside", "--overwrite", "--table", str(table), "--quiet"]) == 0
    found = int(np.asarray(open_labels(f"{image}/labels/beside")[0]).max())
    assert len(table.read_text().splitlines()) == found + 1


def test_merge_of_what_touches_speaks_of_no_threshold(image, capsys):
    assert main(["segment", image, "--tile", "128", "--merge", "touching", "--keep", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"seamlabel merge {image}.seamlabel/labels")


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--table", "nowhere/cells.csv"], "no folder nowhere"),
        (["--skip-empty", "nowhere.zarr"], "--skip-empty: nowhere.zarr does not exist"),
        (["--merge", "nowhere.py:rule"], "--merge: there is no file"),
    ],
)
def test_a_plan_that_would_be_refused_is_shown_with_the_reason(image, capsys, extra, says):
    assert main(["segment", image, "--plan", *extra]) > 0
    told = capsys.readouterr()
    assert told.out.startswith("image ")
    assert says in told.err


def test_merge_segments_tiles_again(image, kept, capsys):
    before = np.asarray(open_labels(f"{image}/labels/labels")[0])
    assert main(["merge", kept, "--again", "3,7", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(e["tile"] for e in events if e["event"] == "TileDone") == [3, 7]
    assert events[-1]["report"]["n_objects"] > 0
    assert np.array_equal(np.asarray(open_labels(f"{image}/labels/labels")[0]), before)


@pytest.mark.parametrize(
    ("extra", "code", "says"),
    [
        (["--again", "x"], 2, "--again: 'x' is not understood"),
        (["--again", "99"], 2, "--again: there is no tile 99"),
        (["--merge", "touching"], 2, "needs other comparisons"),
        (["--join", "-1,20:10,35"], 2, "join -1,20:10,35: (-1, 20) lies outside the image of 600"),
        (["--remove", "-1,20"], 2, "remove -1,20: (-1, 20) lies outside the image"),
        (["--again", "-1,2"], 2, "--again: there is no tile -1"),
        (["--iou", "0"], 2, "--iou: 0.0 is not above 0"),
        (["--join", "1,2"], 2, "join: "),
        (["--remove", "999,2"], 2, "outside the image of 600 x 500"),
        (["--edits", "no.csv"], 2, "cannot read no.csv"),
    ],
)
def test_what_merge_cannot_do_is_told(kept, capsys, extra, code, says):
    assert main(["merge", kept, *extra]) == code
    captured = capsys.readouterr().err
    assert says in captured
    assert "Traceback" not in captured


def test_merge_of_what_was_not_kept_is_told(image, capsys):
    assert main(["segment", image, "--quiet"]) == 0
    assert main(["merge", f"{image}.seamlabel/labels"]) == 1
    assert "--keep" in capsys.readouterr().err


def test_info_tells_of_kept_runs(image, kept, capsys):
    assert main(["info", image]) == 0
    told = capsys.readouterr().out
    assert f"seamlabel merge {kept}" in told
    assert "unfinished" not in told


def test_failed_tiles_are_segmented_again_once_the_cause_is_mended(image, tmp_path, capsys):
    file = tmp_path / "mine.py"
    good = "from scipy import ndimage\ndef fn(tile):\n    return ndimage.label(tile > 2000)[0]\n"
    pixels = open_source(image, image_info(image), 0, ()).arrays[0][:]
    plan = resolve(RunSpec(image=image, tile_shape=128, overlap=8), image_info(image))
    corners = [int(pixels[t.read.start]) for t in plan.grid]
    target = next(v for v in corners[5:] if corners.count(v) == 1)
    file.write_text(good.replace("    return", f"    assert tile[0, 0] != {target}\n    return"))
    command = ["segment", image, "--function", f"{file}:fn", "--tile", "128", "--overlap", "8", "--quiet"]
    assert main(command) == 3
    hint = capsys.readouterr().err.splitlines()[-1]
    again = hint.partition("seamlabel ")[2].split()
    assert again[0] == "resume"
    file.write_text(good)
    assert main([*again, "--quiet"]) == 1
    told = capsys.readouterr().err
    assert "the code of the method was edited" in told
    assert "--accept-changes" in told
    assert main([*again, "--accept-changes", "--quiet"]) == 0
    assert same_partition(
        np.asarray(open_labels(f"{image}/labels/labels")[0]), ndimage.label(pixels > 2000)[0]
    )


def test_an_image_that_was_moved_is_found_where_the_command_says(image, kept, tmp_path, capsys):
    place = str(Path(image).rename(tmp_path / "elsewhere.zarr"))
    before = open_labels(f"{place}/labels/labels")[0][:]
    again = ["merge", kept, "--again", "3", "--output", place, "--overwrite", "--quiet"]
    assert main(again) == 1
    assert "--image" in capsys.readouterr().err
    assert main([*again, "--image", place]) == 0
    assert np.array_equal(open_labels(f"{place}/labels/labels")[0][:], before)
    assert main(["sample", image, "--shape", "500,600"]) == 0
    capsys.readouterr()
    assert main([*again, "--image", image]) == 2
    assert capsys.readouterr().err.startswith("seamlabel: --image: it is yx 500 x 600")


def test_an_overlap_that_is_too_small_is_told_where_a_larger_one_would_help(tmp_path, capsys):
    pixels = np.zeros((256, 256), np.uint16)
    y, x = np.indices(pixels.shape)
    for row in range(32, 256, 64):
        for column in range(32, 256, 64):
            pixels[(y - row) ** 2 + (x - column) ** 2 < 400] = 5000
    wide = np.zeros_like(pixels)
    wide[100:104, 5:250] = 5000
    for name, image in (("discs", pixels), ("wide", wide)):
        path = str(tmp_path / f"{name}.zarr")
        write_image(path, image.shape, "uint16", lambda box, image=image: image[box.slices], axes="yx")
        (tmp_path / "mine.py").write_text(
            "from scipy import ndimage\ndef fn(tile):\n    return ndimage.label(tile > 2000)[0]\n"
        )
        function = f"{tmp_path}/mine.py:fn"
        assert (
            main(["segment", path, "--function", function, "--tile", "64,64", "--overlap", "6", "--quiet"])
            == 0
        )
        told = capsys.readouterr().out
        assert "overlap too small" not in told
    shifted = np.roll(pixels, (32, 32), (0, 1))
    path = str(tmp_path / "shifted.zarr")
    write_image(path, shifted.shape, "uint16", lambda box: shifted[box.slices], axes="yx")
    command = ["segment", path, "--function", function, "--tile", "64", "--quiet", "--overwrite"]
    assert main([*command, "--overlap", "6"]) == 0
    assert "overlap too small for 21 objects that no tile sees whole: use >= 20" in capsys.readouterr().out
    exact = ["segment", path, "--set", "value=2000", "--tile", "64", "--quiet", "--overwrite"]
    assert main(exact) == 0
    assert "overlap too small" not in capsys.readouterr().out
    assert main([*command, "--overlap", "20"]) == 0
    assert "overlap too small" not in capsys.readouterr().out


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


TYPED = """
from typing import Annotated

def cells(tile, sigma: Annotated[float, {"min": 0, "max": 9, "tooltip": "Blur"}] = 2.0, *, context=None):
    return (tile > 1500).astype(int)
"""


def test_the_arguments_of_a_function_are_listed_and_checked_before_any_work(image, tmp_path, capsys):
    path = tmp_path / "typed.py"
    path.write_text(TYPED)
    assert main(["backends", f"{path}:cells"]) == 0
    assert "--set sigma=2.0" in (listed := capsys.readouterr().out)
    assert "Blur [0 to 9]" in listed
    for more in (["--plan"], []):
        asked = ["segment", str(image), "--function", f"{path}:cells", "--set", "sigma=12", "--set", "n=1"]
        assert main([*asked, *more]) == 2
        told = capsys.readouterr().err
        assert "--set sigma: 12.0 is out of range. Use 0 to 9" in told
        assert "--set n: 'cells' has no such parameter. Known: sigma" in told
