"""What is done of an image that is written: a file in it, removed when the image is whole.

Its first line says what was asked for and of which files; each other line that a block is on disk, and how
large what it gave is there. Knows no pixels.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError
from seamlabel.io.partial import partial_of
from seamlabel.io.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = ".seamlabel-convert"
MOST_BYTES = 1 << 30
Stamp = tuple[str, int, int]
"""Path of a file, its bytes, and when it was changed (ns)."""


class Journal:
    """The record of one image that is written.

    Parameters
    ----------
    folder : Path
        The image.
    name : str
        Of the file in it.
    """

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self._place = folder / name
        self._file: Any = None

    def exists(self) -> bool:
        """Return whether a conversion has begun here and is not finished."""
        return self._place.is_file()

    def begin(self, request: dict[str, Any], stamps: Sequence[Stamp]) -> None:
        """Write what is asked for; the record appears whole or not at all."""
        part = partial_of(self._place)
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"request": request, "files": stamps}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._place)

    def read(self) -> tuple[dict[str, Any], list[Stamp], Iterator[dict[str, Any]]]:
        """Return the request, the source's files, and what is done; torn lines are left out.

        Raises
        ------
        ImageError
            If it is no such record.
        """
        try:
            first, *lines = read_regular(self._place, MOST_BYTES).decode("utf-8", "replace").split("\n")
            head = json.loads(first)
            request, stamps = head["request"], [tuple(map(_plain, stamp)) for stamp in head["files"]]
        except (ValueError, KeyError, TypeError, OSError) as error:
            msg = f"{self._place} is not the record of a conversion: {error}"
            raise ImageError(msg, "Start anew with --overwrite") from None
        return request, stamps, _entries(lines)

    def add(self, entry: dict[str, Any]) -> None:
        """Note that a block is done; a killed process loses nothing of it."""
        if self._file is None:
            self._file = self._place.open("ab", buffering=0)
            self._file.write(b"\n")  # after a torn line
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Forget about it: the image is whole."""
        self.close()
        self._place.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if not isinstance(value, str | int):
        raise TypeError(value)
    return value


def _entries(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line) if line else None
            if isinstance(entry, dict):
                yield entry


def stamps(files: Sequence[str]) -> list[Stamp]:
    """Return what tells that files are the same as before.

    Raises
    ------
    ImageError
        If one is gone.
    """
    found = []
    for file in files:
        try:
            state = os.stat(file)
        except OSError as error:
            raise ImageError(f"{file} cannot be read: {error.strerror}", "Check the path") from None
        found.append((os.path.abspath(file), state.st_size, state.st_mtime_ns))
    return found


def differences(
    old: tuple[dict[str, Any], Sequence[Stamp]], new: tuple[dict[str, Any], Sequence[Stamp]]
) -> list[str]:
    """Return in what two requests differ, in words; they are as JSON gives them."""
    found = [
        f"{key.replace('_', ' ')}: {old[0].get(key)} before, {new[0].get(key)} now"
        for key in {**old[0], **new[0]}
        if old[0].get(key) != new[0].get(key)
    ]
    before, now = ({stamp[0]: tuple(stamp) for stamp in side[1]} for side in (old, new))
    for word, names in (
        ("gone", before.keys() - now.keys()),
        ("new", now.keys() - before.keys()),
        ("changed", {name for name in before.keys() & now.keys() if before[name] != now[name]}),
    ):
        listed = sorted(Path(name).name for name in names)
        if listed:
            more = f" and {len(listed) - 5:,} more" if len(listed) > 5 else ""
            found.append(f"files {word}: {', '.join(listed[:5])}{more}")
    return found
