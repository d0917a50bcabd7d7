"""``seamlabel measure-overlap``: what it prints, and what it refuses."""

from __future__ import annotations

import json

import pytest

from seamlabel.cli import main


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "tissue.zarr"
    assert main(["sample", str(path), "--shape", "600,500"]) == 0
    return str(path)


def test_what_it_prints_can_be_run(image, capsys):
    assert main(["measure-overlap", image, "--backend", "threshold", "--set", "smoothing=2"]) == 0
    printed = capsys.readouterr().out
    assert "radius     y 8, x 8" in printed
    options = printed.splitlines()[-1].removeprefix("Run with").split()
    assert options == ["--overlap", "9"]
    assert main(["segment", image, "--set", "smoothing=2", *options, "--quiet"]) == 0


def test_json_says_everything_on_a_line(image, capsys):
    capsys.readouterr()
    assert main(["measure-overlap", image, "--json", "--places", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["overlap"] == [5, 5]
    assert found["places"] == 1
    assert not found["normalises_per_tile"]


def test_a_function_that_normalises_per_tile_gets_its_mend_and_no_overlap(image, capsys, tmp_path):
    (tmp_path / "code").mkdir()
    code = tmp_path / "code" / "mine.py"
    code.write_text(
        "from scipy import ndimage\n"
        "def cells(tile, part=0.5):\n"
        "    return ndimage.label(tile > part * tile.max())[0]\n"
    )
    assert main(["measure-overlap", image, "--function", f"{code}:cells", "--set", "part=0.4"]) == 0
    printed = capsys.readouterr().out
    assert "This backend normalises per tile: no overlap will make tiles agree" in printed
    assert "Mend: " in printed
    assert "--overlap" not in printed


def test_labels_that_are_there_do_not_hinder_measuring(image):
    assert main(["segment", image, "--quiet"]) == 0
    assert main(["measure-overlap", image, "--places", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "treshold"], "--backend: there is no backend 'treshold'"),
        (["--set", "smoothing=-1"], "--set smoothing"),
        (["--level", "9"], "--level: 9 does not exist"),
        (["--channels", "dapi"], "--channels: the image has no channel axis"),
        (["--places", "0"], "places: it is not positive"),
    ],
)
def test_wrong_arguments_are_told_by_option(image, capsys, arguments, said):
    assert main(["measure-overlap", image, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_method_that_finds_nothing_is_told(image, capsys):
    assert main(["measure-overlap", image, "--set", "value=60000"]) == 1
    assert "finds no object" in capsys.readouterr().err
