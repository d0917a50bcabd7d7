"""Images on disk written by hand, as JSON and bytes, so that they can say anything; and their judge."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import seamlabel
from seamlabel.errors import SeamlabelError, SpecError
from seamlabel.io.sources import image_info

SIDE = 16
MOST_MEMORY = 48 << 20
"""Bytes: what a case may take; the bombs of this table hold more."""
NGFF_AXES = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]


class Hostile:
    """An image of 16 x 16 pixels in one chunk; change its parts, then `write` it.

    `array` and `image` are the metadata of level 0 and of the multiscale image, `attrs` all others.
    """

    def __init__(self, folder: Path, version: int = 2) -> None:
        self.path = folder / "image.zarr"
        self.version = version
        self.chunk: bytes | None = bytes(range(SIDE * SIDE))
        scale = [{"type": "scale", "scale": [1.0, 1.0]}]
        self.image: dict[str, Any] = {
            "axes": NGFF_AXES,
            "datasets": [{"path": "0", "coordinateTransformations": scale}],
        }
        self.attrs: dict[str, Any] = {}
        self.array: dict[str, Any] = _ARRAYS[version] | {"shape": [SIDE, SIDE]}

    @property
    def level(self) -> Path:
        return self.path / "0"

    @property
    def group_document(self) -> Path:
        return self.path / (".zattrs" if self.version == 2 else "zarr.json")

    @property
    def array_document(self) -> Path:
        return self.level / (".zarray" if self.version == 2 else "zarr.json")

    @property
    def chunk_file(self) -> Path:
        return self.level / ("0.0" if self.version == 2 else "c/0/0")

    def write(self) -> Path:
        self.chunk_file.parent.mkdir(parents=True)
        if self.version == 2:
            save(self.path / ".zgroup", {"zarr_format": 2})
            save(self.group_document, {"multiscales": [{"version": "0.4"} | self.image]} | self.attrs)
        else:
            ome = {"version": "0.5", "multiscales": [self.image]} | self.attrs
            group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
            save(self.group_document, group)
        save(self.array_document, self.array)
        if self.chunk is not None:
            self.chunk_file.write_bytes(self.chunk)
        return self.path


_ARRAYS: dict[int, dict[str, Any]] = {
    2: {
        "zarr_format": 2,
        "chunks": [SIDE, SIDE],
        "dtype": "|u1",
        "compressor": None,
        "filters": None,
        "fill_value": 0,
        "order": "C",
    },
    3: {
        "zarr_format": 3,
        "node_type": "array",
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [SIDE, SIDE]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes"}],
        "attributes": {},
    },
}


def save(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def checksum(folder: Path) -> str:
    """Return a digest of all names, links and bytes below a folder, but not of run directories."""
    digest = hashlib.sha256()
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.endswith(".seamlabel"))
        for name in sorted([*folders, *files]):
            path = Path(root, name)
            digest.update(str(path).encode())
            if path.is_symlink():
                digest.update(os.readlink(path).encode())
            elif path.is_file() and path.stat().st_size < 1 << 20:
                digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def refused(folder: Path, message: str):
    """Expect an error that says so and how to mend it, in little memory, and nothing changed on disk."""
    before = checksum(folder)
    tracemalloc.start()
    try:
        with pytest.raises(SeamlabelError, match=message) as caught:
            yield caught
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    error = caught.value
    assert all(p.fix for p in error.problems) if isinstance(error, SpecError) else error.hint
    shown = f"{error} {error.hint}".replace("\n", " ")
    assert shown.isprintable()
    assert len(shown) < 2000
    assert peak < MOST_MEMORY
    assert checksum(folder) == before


def segment(path: Any, **settings: Any):
    return seamlabel.segment(path, "threshold", params={"value": 1}, progress=False, **settings)


def refuse_both(path: Path, message: str) -> None:
    """Expect that the image is refused by whoever looks at it."""
    with refused(path.parent, message):
        image_info(path)
    with refused(path.parent, message):
        segment(path)
