"""Names, zip files, addresses and functions of strangers: refused, and no secrets passed on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hostile import Hostile, refuse_both, refused, segment

import seamlabel
from seamlabel.io.sources import image_info

pytestmark = pytest.mark.timeout(60)
BIG = bytes(200 << 20)

NAMES = [
    "../x",
    "a/b",
    "..",
    ".",
    "",
    "a\\b",
    "a\0",
    "a\n",
    "\x1b[2J",
    "/x",
    "C:x",
    "a" * 101,
    "CON",
    "nul.txt",
    "a.",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_labels_that_are_no_plain_names_are_refused(tmp_path, name):
    path = Hostile(tmp_path).write()
    with refused(tmp_path, "name"):
        segment(path, name=name)


def zipped(tmp_path, change=None):
    path = Hostile(tmp_path).write()
    made = tmp_path / "image.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for member in sorted(p for p in path.rglob("*") if p.is_file()):
            name = member.relative_to(path).as_posix()
            file.writestr(name, (change or {}).get(name, member.read_bytes()))
    return made


def test_a_zip_as_it_should_be_is_read(tmp_path):
    assert segment(zipped(tmp_path), output=tmp_path / "out.zarr").n_objects == 1


ZIPS = {
    "a bomb as a chunk": ({"0/0.0": BIG}, "where a chunk belongs"),
    "a bomb as metadata": ({".zattrs": b" " * (100 << 20)}, "104,857,600 bytes"),
    "metadata that are no JSON": ({"0/.zarray": b"{"}, "not JSON"),
    "metadata nested too deeply": ({".zattrs": b"[" * 9999}, "nested"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_zips_made_to_do_harm_are_refused(tmp_path, case):
    change, message = ZIPS[case]
    refuse_both(zipped(tmp_path, change), message)


def test_a_file_that_only_ends_like_a_zip_is_refused(tmp_path):
    (tmp_path / "image.zip").write_bytes(b"PK\3\4 no zip")
    refuse_both(tmp_path / "image.zip", "no zip file")


def test_addresses_lose_their_secrets_in_messages_and_labels(tmp_path):
    with refused(tmp_path, "name, password or query") as caught:
        image_info("https://me:hidden@example.org/a.zarr?token=hidden#hidden")
    assert "hidden" not in f"{caught.value} {caught.value.hint}"
    assert "example.org/a.zarr" in str(caught.value)
    path = Hostile(tmp_path).write()
    rule = tmp_path / "own.py"
    rule.write_text("def all_of(tile, address):\n    return (tile > 0).astype(int)\n")
    address = "https://me:hidden@example.org/weights?token=hidden"
    target = {"target": f"{rule}:all_of", "keywords": {"address": address}}
    made = seamlabel.segment(path, "function", params=target, progress=False)
    text = (Path(made.path) / ".zattrs").read_text()
    assert "hidden" not in text
    assert "https://example.org/weights" in text


FUNCTIONS = ["builtins:exec", "builtins:eval", "pickle:loads", "_pickle:loads", "marshal:loads", "os:system"]


@pytest.mark.parametrize("target", [*FUNCTIONS, "cloudpickle:loads", "subprocess:run", "code:interact"])
def test_run_files_cannot_make_pixels_run_as_code(tmp_path, target):
    """`exec` runs an image of bytes as a program, `pickle.loads` as well."""
    hostile = Hostile(tmp_path)
    proof = tmp_path / "proof"
    program = f"open({str(proof)!r}, 'w')".encode().ljust(256, b"#")
    hostile.chunk = program
    path = hostile.write()
    spec = seamlabel.RunSpec(image=str(path), backend="function", params={"target": target})
    with refused(tmp_path, "function of Python itself"):
        seamlabel.segment(path, spec.backend, params=spec.params, progress=False)
    assert not proof.exists()


@pytest.mark.parametrize("place", ["image.zarr", "image.zarr/0", "image.zarr.seamlabel/cells"])
def test_code_that_came_with_data_is_not_run(tmp_path, place):
    path = Hostile(tmp_path).write()
    proof = tmp_path / "proof"
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.py").write_text(f"open({str(proof)!r}, 'w')\ndef rule(tile):\n    return tile\n")
    with refused(tmp_path, "is not run"):
        seamlabel.segment(path, "function", params={"target": f"{folder}/own.py:rule"}, progress=False)
    with refused(tmp_path, "is not run"):
        segment(path, merge=f"{folder}/own.py:rule")
    assert not proof.exists()
