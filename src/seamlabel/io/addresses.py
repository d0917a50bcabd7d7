"""Addresses of images that lie elsewhere (``https://``, ``s3://`` ...): told from paths, and cleaned.

Pure; knows no network.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from seamlabel.errors import ImageError
from seamlabel.io.ngff.strict import plain, without_secrets

SCHEMES = ("http", "https", "s3", "gs", "az")
_REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
"""``s3://``, and what `Path` makes of it; a drive (``C:/``) has one letter."""


def is_remote(path: object) -> bool:
    """Return whether this is an address, not a path."""
    return isinstance(path, str | os.PathLike) and _REMOTE.match(str(path)) is not None


def clean_address(path: str | os.PathLike[str]) -> str:
    """Return an address in one way: no slash at its end, and none lost to `Path`.

    Raises
    ------
    ImageError
        If it is of a kind that cannot be read, or holds a name, password or token: addresses are kept in
        run files and labels.
    """
    text = os.fspath(path)
    scheme, rest = _REMOTE.match(text), _REMOTE.sub("", text, count=1).rstrip("/")
    if scheme is None or scheme[1].lower() not in SCHEMES:
        msg = f"{plain(without_secrets(text))}: images of this kind cannot be read"
        raise ImageError(msg, f"Give a path, or an address that begins with {', '.join(SCHEMES)}")
    shown = f"{scheme[1].lower()}://{rest}"
    if not shown.isprintable() or "\\" in rest:
        raise ImageError(f"{plain(without_secrets(shown))!r} is no address", "Check the address")
    if without_secrets(shown) != shown or "@" in rest.partition("/")[0]:
        msg = f"{without_secrets(shown)}: the address given has a name, password or query in it"
        hint = "Leave it out: passwords belong into ~/.netrc, keys of a cloud into the environment"
        raise ImageError(msg, hint)
    try:
        host = urlsplit(shown).netloc
    except ValueError:
        host = ""
    if not host or {".", ".."} & set(rest.split("/")):
        raise ImageError(
            f"{shown} is no address", "Give it as https://HOST/IMAGE.zarr or s3://BUCKET/IMAGE.zarr"
        )
    return shown


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the real absolute path; an address as it is."""
    return clean_address(path) if is_remote(path) else os.path.realpath(os.path.expanduser(path))
