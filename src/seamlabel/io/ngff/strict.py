"""JSON of strangers: bounded in length and depth, UTF-8, every key once; and names fit to be shown.

Knows no keys' meaning.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError
from seamlabel.io.regular import Irregular, read_regular

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1 << 26
"""Length of a document: the metadata of 50,000 arrays in one file have half of that."""
MOST_DEPTH = 64
SHOWN = 100
"""Letters of a name that are kept for show."""
_SECRETS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:/{1,2})(?:[^/\s@]*@)?([^?#\s]*)(?:[?#]\S*)?")
"""An address: scheme, who asks, place, and what is asked."""
_MEND = "Mend the file, or take it from a backup"


def load_document(place: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises
    ------
    ImageError
        If it is no plain file, too long, or not JSON of the kind that `parse_document` takes.
    OSError
        If it is not there or cannot be read.
    """
    try:
        data = read_regular(place, MOST_BYTES)
    except Irregular as error:
        raise ImageError(f"{place} cannot be read: {error}", _MEND) from None
    return parse_document(data, str(place))


def parse_document(data: bytes, place: str) -> dict[str, Any]:
    """Return the JSON object that these bytes are.

    Numbers that JSON does not have (``NaN``, ``Infinity``) are taken as they are, because programs
    write them into attributes that nobody looks at; where numbers are used they are refused.

    Parameters
    ----------
    data : bytes
        UTF-8.
    place : str
        Where they come from, for messages.

    Raises
    ------
    ImageError
        If they are no JSON object, nested too deeply, or name a key twice: programs would read them
        differently.
    """
    try:
        document = json.loads(data.decode(), object_pairs_hook=_once)
        if not _is_flat(document):
            raise RecursionError
    except RecursionError:
        msg = f"{place} is nested more than {MOST_DEPTH} deep"
        raise ImageError(msg, _MEND) from None
    except ValueError as error:
        raise ImageError(f"{place} is not JSON: {error}", _MEND) from None
    if not isinstance(document, dict):
        raise ImageError(f"{place} is not a JSON object", _MEND)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the key {plain(twice)!r} is there twice"
        raise ValueError(msg)
    return found


def _is_flat(document: Any) -> bool:
    """Return whether lists and objects are nested no more than `MOST_DEPTH` deep."""
    layer = [document] if isinstance(document, dict | list) else []
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for part in layer:
            inner += part.values() if isinstance(part, dict) else part
        layer = [part for part in inner if isinstance(part, dict | list)]
        if not layer:
            return True
    return False


def plain(value: Any, most: int = SHOWN) -> str:
    """Return text fit for a terminal: nothing that steers it, turns its direction, or fills it.

    White space becomes a space, all else that cannot be shown U+FFFD; what is longer than `most` letters
    is cut.
    """
    text = value if isinstance(value, str) else str(value)
    cut = text[: most - 1] + "…" if len(text) > most else text
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in cut)


def is_inside(path: Any) -> bool:
    """Return whether this names something in a folder: no root, no drive, no climbing, fit to be shown."""
    if not isinstance(path, str) or not 0 < len(path) <= 500 or not path.isprintable():
        return False
    parts = path.replace("\\", "/").split("/")
    inner = parts[:-1] if len(parts) > 1 and not parts[-1] else parts  # one "/" at the end does no harm
    return ":" not in parts[0] and not {"", ".", ".."} & set(inner)


def without_secrets(text: str) -> str:
    """Return a text in which addresses have lost user names, passwords and what follows ``?`` or ``#``."""
    return _SECRETS.sub(r"\1\2", text)
