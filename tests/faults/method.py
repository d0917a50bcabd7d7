"""A way to segment that notes durably every time it is asked to, for processes that are killed."""

from __future__ import annotations

import ctypes
import os
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 3000


def append(path: str, line: str) -> None:
    """Append a line to a file that several processes write; it is on the disk when this returns."""
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def name_of(pixels: NDArray[Any]) -> str:
    """Return what tells these pixels from those of other tiles."""
    shape = "x".join(map(str, pixels.shape))
    return f"{shape}-{zlib.crc32(np.ascontiguousarray(pixels).tobytes()):08x}"


def noted(pixels: NDArray[Any]) -> NDArray[Any]:
    """Label what is bright, after noting that it was asked to, in the file that the environment names."""
    if file := os.environ.get("SEAMLABEL_FAULT_CALLS"):
        append(file, f"{os.environ['SEAMLABEL_FAULT_SESSION']} {name_of(pixels)}")
    time.sleep(float(os.environ.get("SEAMLABEL_FAULT_SECONDS", "0")))
    found: NDArray[Any] = ndimage.label(pixels > LIMIT, np.ones((3,) * pixels.ndim))[0]
    return found


def stuck(pixels: NDArray[Any]) -> NDArray[Any]:
    """Label what is bright; once a file of that name is there, stay for minutes in one of these ways."""
    how, file = os.environ.get("SEAMLABEL_FAULT_HANG", ""), os.environ.get("SEAMLABEL_FAULT_GO", "")
    if how:
        time.sleep(0.1)  # so that some are left when it is said that they hang
    if how and os.path.exists(file):
        append(file, "in")
        if how == "sleep":
            time.sleep(300)
        elif how == "python":
            end = time.monotonic() + 300
            while time.monotonic() < end:
                pass
        else:
            ctypes.PyDLL(None).sleep(300)  # keeps the interpreter's lock
    found: NDArray[Any] = ndimage.label(pixels > LIMIT, np.ones((3,) * pixels.ndim))[0]
    return found
