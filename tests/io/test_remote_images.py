from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from webserver import serving

import seamlabel
from seamlabel import cli
from seamlabel.errors import ImageError, RemoteError, SpecError
from seamlabel.events import TileDone
from seamlabel.io.addresses import absolute, clean_address, is_remote
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.io.remote_access import Patience, client_of
from seamlabel.io.sources import image_info, open_labels
from seamlabel.testing.cells import Tissue

pytest.importorskip("obstore")
SIDE = 192


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Ask once, and with no names and keys of whoever runs the tests."""
    monkeypatch.setenv("SEAMLABEL_REMOTE_RETRIES", "0")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with images of the same cells: zarr 3, zarr 2, in shards."""
    place = tmp_path_factory.mktemp("served")
    cells = Tissue((SIDE, SIDE), "dense", seed=3, diameter=16)
    for version, name in (("0.5", "a.zarr"), ("0.4", "b.zarr")):
        write_image(
            place / name, cells.shape, "uint16", cells.image, axes="yx", version=version, chunks=(32, 32)
        )
    whole = open_image(place / "a.zarr").arrays[0][...]
    shards = zarr.create_group(str(place / "c.zarr"), zarr_format=3)
    shards.create_array("0", data=whole, chunks=(32, 32), shards=(96, 96), fill_value=0)
    shards.attrs["ome"] = open_image_attributes(place / "a.zarr")
    return place


def open_image_attributes(path):
    ome = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    ome["multiscales"][0]["datasets"] = ome["multiscales"][0]["datasets"][:1]
    return ome


@pytest.fixture
def web(folder):
    with serving(folder) as server:
        yield server


def run(image, output, **changes):
    options = {"tile_shape": 64, "overlap": 12, "progress": False, "executor": "threads", "workers": 2}
    return seamlabel.segment(str(image), "threshold", output=str(output), **(options | changes))


def labels(result):
    return np.asarray(open_labels(result.path)[0])


@pytest.mark.parametrize("name", ["a.zarr", "b.zarr", "c.zarr"])
def test_a_remote_image_is_the_local_one(web, folder, name):
    there, here = open_image(f"{web.address}/{name}/"), open_image(folder / name)
    assert there.info.path == f"{web.address}/{name}"
    assert not there.info.writable
    for one, other in zip(there.arrays, here.arrays, strict=True):
        box = tuple(slice(5, n - 7) for n in other.shape)
        read = ChunkReader(one, ChunkCache(1 << 24)).read(box)
        np.testing.assert_array_equal(read, other[box])
    assert there.info.levels == here.info.levels


def test_shards_are_read_in_parts_also_from_servers_that_give_none(web, folder):
    array = open_image(f"{web.address}/c.zarr").arrays[0]
    web.asked.clear()
    expected = open_image(folder / "c.zarr").arrays[0][:40, :40]
    np.testing.assert_array_equal(ChunkReader(array, ChunkCache(0)).read((slice(40), slice(40))), expected)
    assert all(part for _, part, _ in web.asked)  # never a whole shard
    assert len(web.asked) == 5  # its index once, and four chunks
    web.ranges = False
    array = open_image(f"{web.address}/c.zarr").arrays[0]
    np.testing.assert_array_equal(ChunkReader(array, ChunkCache(0)).read((slice(40), slice(40))), expected)


@pytest.mark.parametrize("name", ["a.zarr", "c.zarr"])
def test_many_chunks_are_asked_for_at_once(web, name):
    array = open_image(f"{web.address}/{name}").arrays[0]
    meeting = threading.Barrier(9 if name == "c.zarr" else 36, timeout=20)
    indices = threading.Barrier(4, timeout=20)

    def meet(path):
        sharded = name == "c.zarr" and len(web.asked) <= before + 4
        if "/c/" in path:
            (indices if sharded else meeting).wait()

    before, web.meeting = len(web.asked), meet
    ChunkReader(array, ChunkCache(1 << 24)).read((slice(SIDE), slice(SIDE)))
    assert web.most >= 9


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_labels_of_a_remote_image_are_those_of_the_local_one(web, folder, tmp_path, executor):
    expected = labels(run(folder / "a.zarr", tmp_path / "here.zarr"))
    result = run(f"{web.address}/a.zarr", tmp_path / "there.zarr", executor=executor)
    np.testing.assert_array_equal(labels(result), expected)
    assert expected.max() > 10
    attributes = json.loads((Path(result.path) / "zarr.json").read_text())["attributes"]
    assert attributes["ome"]["image-label"]["source"]["image"] == f"{web.address}/a.zarr"
    assert attributes["seamlabel"]["spec"]["image"] == f"{web.address}/a.zarr"


def test_an_output_that_was_forgotten_is_told_before_any_work(web, capsys):
    address = f"{web.address}/a.zarr"
    with pytest.raises(SpecError, match="labels cannot be written into"):
        seamlabel.segment(address, "threshold", progress=False)
    assert cli.main(["segment", address]) == 2
    told = capsys.readouterr().err
    assert f"--output: labels cannot be written into {address}" in told
    assert not any("/c/" in path for path, _, _ in web.asked)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_run_whose_server_dies_goes_on_when_it_is_there_again(folder, tmp_path, executor, capsys):
    # a value, not one found in the whole image: then nothing is read before the tiles are
    how = {"params": {"value": 2800.0}, "executor": executor, "workers": 1}
    expected = labels(run(folder / "a.zarr", tmp_path / "here.zarr", **how))
    output, events = tmp_path / "there.zarr", []
    with serving(folder) as web:
        port, address = web.server_port, f"{web.address}/a.zarr"
        lower = tuple(f"a.zarr/0/c/{row}/" for row in range(3, 6))
        web.answer = lambda path: 503 if path.startswith(lower) else None
        with pytest.raises(RemoteError, match=r"the server failed \(503\)") as caught:
            run(address, output, on_event=events.append, **how)
    assert "goes on" in caught.value.hint
    assert cli.main(["info", str(output)]) == 0
    assert f"seamlabel resume {output}.seamlabel/labels" in capsys.readouterr().out
    done = {event.tile for event in events if isinstance(event, TileDone)}
    assert 0 < len(done) < 9
    with pytest.raises(ImageError, match="the connection was refused"):
        seamlabel.resume(f"{output}.seamlabel/labels", progress=False)
    events.clear()
    with serving(folder, port) as web:
        result = seamlabel.resume(f"{output}.seamlabel/labels", progress=False)
        assert not any(path.endswith("c/0/0") for path, _, _ in web.asked[40:])
    np.testing.assert_array_equal(labels(result), expected)
    assert expected.max() > 10


CASES = {
    "a page that is not there": (404, "neither zarr.json nor .zgroup", "Check the address"),
    "what one may not read": (403, "not allowed", "netrc"),
    "what asks for a name": (401, "not allowed", "netrc"),
    "a server that fails": (500, r"the server failed \(500\)", "Try later"),
    "a server that says nothing": ("hang", "no answer in time", "SEAMLABEL_REMOTE_SECONDS"),
    "an answer that breaks off": ("cut", "broke off", "network"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_servers_refuse_is_told_in_words(web, case, monkeypatch):
    status, message, hint = CASES[case]
    if status == "hang":
        monkeypatch.setenv("SEAMLABEL_REMOTE_SECONDS", "0.2")
    web.answer = lambda path: status
    with pytest.raises(ImageError, match=message) as caught:
        image_info(f"{web.address}/a.zarr")
    assert hint in caught.value.hint
    assert f"{web.address}/a.zarr" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9/a.zarr", "the connection was refused"),
        ("http://nowhere.invalid/a.zarr", "the host is not known"),
    ],
)
def test_hosts_that_cannot_be_reached_are_told_in_words(address, message):
    with pytest.raises(RemoteError, match=message) as caught:
        image_info(address)
    assert address in str(caught.value)


def test_what_fails_once_is_asked_for_again(web, folder, monkeypatch):
    monkeypatch.setenv("SEAMLABEL_REMOTE_RETRIES", "2")
    array = open_image(f"{web.address}/a.zarr").arrays[0]
    seen = []

    def flaky(path):
        seen.append(path)
        return [503, "cut", None][min(seen.count(path) - 1, 2)]

    web.answer = flaky
    pixels = ChunkReader(array, ChunkCache(0)).read((slice(10), slice(10)))
    np.testing.assert_array_equal(pixels, open_image(folder / "a.zarr").arrays[0][:10, :10])


def sparse(place):
    """Write an image of which one chunk exists, and return what it holds."""
    pixels = np.zeros((64, 64), np.uint8)
    pixels[:32, :32] = 7
    write_image(place, pixels.shape, "uint8", lambda box: pixels[box.slices], axes="yx", chunks=(32, 32))
    for chunk in (place / "0" / "c").rglob("*"):
        if chunk.is_file() and chunk.parts[-2:] != ("0", "0"):
            chunk.unlink()
    return pixels


@pytest.mark.parametrize("hidden", [False, True])
def test_chunks_that_are_not_there_are_the_fill_value(tmp_path, hidden):
    pixels = sparse(tmp_path / "s.zarr")
    with serving(tmp_path) as web:
        if hidden:  # as buckets do that nobody may list
            web.answer = lambda path: None if (tmp_path / path).is_file() else 403
        array = open_image(f"{web.address}/s.zarr").arrays[0]
        whole = (slice(64), slice(64))
        np.testing.assert_array_equal(ChunkReader(array, ChunkCache(1 << 20)).read(whole), pixels)


def test_chunks_are_not_taken_for_missing_where_they_are_refused_or_the_image_is_gone(tmp_path):
    sparse(tmp_path / "s.zarr")
    with serving(tmp_path) as web:
        reader = ChunkReader(open_image(f"{web.address}/s.zarr").arrays[0], ChunkCache(0))
        web.answer = lambda path: 403 if path.endswith("c/0/0") else None
        with pytest.raises(RemoteError, match=r"not allowed \(403\)"):
            reader.read((slice(32), slice(32)))
        web.answer = lambda path: 404
        with pytest.raises(RemoteError, match="is gone"):
            reader.read((slice(32), slice(32)))


def test_what_strangers_serve_is_checked_like_what_they_send(tmp_path):
    sparse(tmp_path / "s.zarr")
    file, chunk = tmp_path / "s.zarr" / "0" / "zarr.json", tmp_path / "s.zarr" / "0" / "c" / "0" / "0"
    good = json.loads(file.read_text())
    with serving(tmp_path) as web:
        address = f"{web.address}/s.zarr"
        chunk.write_bytes(bytes(4 << 20))
        with pytest.raises(ImageError, match="cannot be right"):
            ChunkReader(open_image(address).arrays[0], ChunkCache(0)).read((slice(32), slice(32)))
        chunk.write_bytes(b"no chunk")
        with pytest.raises(ImageError, match=f"{address}/0/c/0/0 is no chunk"):
            ChunkReader(open_image(address).arrays[0], ChunkCache(0)).read((slice(32), slice(32)))
        bad = {"codecs": [{"name": "numcodecs.pickle"}]}, {"chunk_grid": None}, {"shape": [1 << 60, 9]}
        for change in bad:
            file.write_text(json.dumps({**good, **change}))
            with pytest.raises(ImageError, match="level '0' cannot be opened"):
                open_image(address)
        file.write_text("<html>")
        with pytest.raises(ImageError, match="is not JSON"):
            open_image(address)
        file.write_text(" " * ((1 << 26) + 1))
        with pytest.raises(ImageError, match="cannot be right"):
            open_image(address)


def test_metadata_that_change_behind_the_checks_are_not_looked_at_again(tmp_path):
    sparse(tmp_path / "s.zarr")
    with serving(tmp_path) as web:
        seen = []
        web.answer = seen.append
        open_image(f"{web.address}/s.zarr")
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "address", ["https://me:hidden@host/a.zarr", "https://host/a.zarr?token=hidden", "s3://b/a.zarr#hidden"]
)
def test_addresses_with_secrets_are_refused_without_telling_them(address, capsys):
    with pytest.raises(ImageError, match="name, password or query") as caught:
        image_info(address)
    assert "hidden" not in f"{caught.value} {caught.value.hint}"
    assert cli.main(["segment", address, "--output", "out.zarr"]) == 1
    assert "hidden" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    ["ftp://host/a.zarr", "file:///a.zarr", "https:///a.zarr", "s3://", "https://h/../a", "s3://b/\x1b"],
)
def test_what_is_no_address_of_an_image_is_refused(address):
    assert is_remote(address)
    with pytest.raises(ImageError):
        image_info(address)


def test_addresses_are_kept_in_one_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert clean_address(Path("s3://bucket/a.zarr/")) == "s3://bucket/a.zarr"
    assert absolute("HTTPS://host/a%20b.zarr") == "https://host/a%20b.zarr"
    assert absolute("a.zarr") == str(tmp_path.resolve() / "a.zarr")
    assert not is_remote("C:/a.zarr")
    assert not is_remote(np.zeros(3))


def test_names_and_passwords_come_from_netrc(web, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    image_info(f"{web.address}/a.zarr")
    assert {who for _, _, who in web.asked} == {"Basic bWU6aGlkZGVu"}


def test_buckets_are_asked_as_anybody_unless_the_environment_has_keys(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "somebody")
    names = {"s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "az": ("AZURE_STORAGE_ACCOUNT_KEY",)}
    for name in (*names["s3"], *names["az"], "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for scheme in ("s3", "gs", "az"):
        anybody = client_of(f"{scheme}://bucket/a.zarr", Patience())
        assert anybody.config["skip_signature"]
        assert anybody.prefix == "a.zarr"
        for name in names.get(scheme, ()):
            monkeypatch.setenv(name, "bWU=")
        if scheme in names:
            assert "skip_signature" not in client_of(f"{scheme}://bucket/a.zarr", Patience()).config


def test_patience_that_is_no_number_is_refused(monkeypatch, web):
    monkeypatch.setenv("SEAMLABEL_REMOTE_SECONDS", "soon")
    with pytest.raises(ImageError, match="SEAMLABEL_REMOTE_SECONDS is 'soon'"):
        image_info(f"{web.address}/a.zarr")


def test_labels_that_a_remote_image_lists_are_known_and_can_be_opened(folder, tmp_path):
    import shutil

    shutil.copytree(folder / "a.zarr", tmp_path / "a.zarr")
    seamlabel.segment(str(tmp_path / "a.zarr"), "threshold", progress=False)
    with serving(tmp_path) as web:
        assert image_info(f"{web.address}/a.zarr").labels == ("labels",)
        there = open_labels(f"{web.address}/a.zarr/labels/labels")[0]
        np.testing.assert_array_equal(there[...], open_labels(tmp_path / "a.zarr/labels/labels")[0][...])


def test_info_and_validate_look_at_remote_images(web, folder, capsys):
    address = f"{web.address}/a.zarr"
    assert cli.main(["info", address]) == 0
    told = capsys.readouterr().out
    assert f"{address}: OME-Zarr 0.5 (zarr 3), image on a server, uint16" in told
    assert "give --output" in told
    assert cli.main(["validate", address]) == cli.main(["validate", str(folder / "a.zarr")])
    assert not any("/c/" in path for path, _, _ in web.asked)


def test_an_open_array_can_be_handed_to_another_process(web):
    array = open_image(f"{web.address}/a.zarr").arrays[0]
    again = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(again[:9, :9], array[:9, :9])


def test_without_obstore_the_command_that_installs_it_is_told():
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from seamlabel import cli; sys.exit(cli.main(['info', 's3://bucket/a.zarr']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'seamlabel[remote]'" in done.stderr
    assert "Traceback" not in done.stderr
