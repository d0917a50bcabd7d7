"""Files of strangers: read only if they are plain files, and only if they are not too long.

A pipe in place of a file would be waited for without end, a device would never end. Knows no format.
"""

from __future__ import annotations

import errno
import os
import stat

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Not to wait for whoever writes into a pipe; of no account for plain files."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Irregular(ValueError):
    """What is there is no plain file, or a longer one than can be right."""


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return what is in a plain file; links are followed.

    Parameters
    ----------
    path : str or path-like
        The file.
    limit : int
        Most bytes that it may have.

    Raises
    ------
    Irregular
        If it is a folder, pipe, socket or device, a link that leads nowhere, or too long.
    FileNotFoundError
        If nothing is there.
    OSError
        If it cannot be read.
    """
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        if os.path.islink(path):
            raise Irregular("it is a link to a file that is not there") from None
        raise
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ELOOP) or os.path.isdir(path):
            raise Irregular(f"it is no file ({error.strerror})") from None
        raise
    try:
        return _read(handle, limit)
    finally:
        os.close(handle)


def _read(handle: int, limit: int) -> bytes:
    found = os.fstat(handle)
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise Irregular(f"it is {_KINDS.get(kind, 'something else')}, not a file")
    if found.st_size > limit:
        raise Irregular(f"it has {found.st_size:,} bytes, no more than {limit:,} can be right")
    data = os.read(handle, found.st_size)
    while len(data) < found.st_size and (more := os.read(handle, found.st_size - len(data))):
        data += more
    return data
