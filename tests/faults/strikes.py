"""What functions do that segment a tile badly: each takes pixels, and harms in its own way. Knows no runs."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 2000
HANG_SECONDS = 600.0
LINGER_SECONDS = 1.0


def bright(tile: Any) -> Any:
    """Return labels of what is bright; touching corners count."""
    return ndimage.label(tile > LIMIT, np.ones((3,) * tile.ndim))[0]


class OutOfMemoryError(RuntimeError):
    """Named as torch's and cupy's."""


class Unpicklable(Exception):
    """Holds what no other process can have."""

    def __init__(self) -> None:
        super().__init__("has a lock")
        self.lock = threading.Lock()


class Unreadable(Exception):
    """Does not even come back from a pickle: `__init__` wants two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class Speechless(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Touchy(Exception):
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError(f"do not ask for {name}")


class Stop(BaseException):
    """Not even an `Exception`."""


def raises(error: Callable[[], BaseException]) -> Callable[[Any], Any]:
    """Return what raises this."""

    def strike(tile: Any) -> Any:
        raise error()

    return strike


def recursion(tile: Any) -> Any:
    """Never end to call itself."""
    return recursion(tile)


def warning(tile: Any) -> Any:
    """Have warnings raise, for the whole process, and warn."""
    warnings.simplefilter("error")
    warnings.warn("not quite right", UserWarning, stacklevel=1)
    return bright(tile)


def hog(tile: Any) -> Any:
    """Take memory until the process may have no more."""
    import resource

    with Path("/proc/self/statm").open() as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), hard))
    held = []
    try:
        while True:
            held.append(np.ones(1 << 20))
    finally:
        held.clear()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def hang_in_python(tile: Any) -> Any:
    """Never end, in Python."""
    end = time.monotonic() + HANG_SECONDS
    while time.monotonic() < end:
        time.sleep(0.01)


def hang_in_c(tile: Any) -> Any:
    """Never end, in C that lets others go on."""
    ctypes.CDLL(None).sleep(int(HANG_SECONDS))


def hang_with_lock(tile: Any) -> Any:
    """Never end, in C that lets nobody else in this process go on."""
    ctypes.PyDLL(None).sleep(int(HANG_SECONDS))


def ends(how: Callable[[], Any]) -> Callable[[Any], Any]:
    """Return what ends the process."""

    def strike(tile: Any) -> Any:
        how()
        time.sleep(5)

    return strike


def kill_self() -> None:
    """Be killed as by the kernel when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def noise(tile: Any) -> Any:
    """Print from Python and from C, on both streams."""
    print("tile\n{" * 3, flush=True)
    print("tile" * 3, file=sys.stderr)
    os.write(1, b"from C\n")
    sys.stdout.write("without an end")
    sys.stdout.flush()
    return bright(tile)


def change_input(tile: Any) -> Any:
    """Write into the pixels that were given."""
    labels = bright(tile)
    tile[...] = 0
    return labels


def label_in_place(tile: Any) -> Any:
    """Return the very pixels that were given, as labels."""
    tile[...] = bright(tile)
    return tile


buffers = threading.local()


def reuse_buffer(tile: Any) -> Any:
    """Return a view of memory that is used again."""
    if not hasattr(buffers, "page"):
        buffers.page = np.zeros((4096, 4096), np.int32)
    view = buffers.page[: tile.shape[0], : tile.shape[1]]
    view[...] = bright(tile)
    threading.Timer(0.5, buffers.page.fill, [7]).start()
    return view


def renumbered(dtype: str, factor: int, offset: int) -> Callable[[Any], Any]:
    """Return what gives huge ids."""

    def strike(tile: Any) -> Any:
        labels = bright(tile).astype(dtype)
        kind = labels.dtype.type
        return np.where(labels > 0, labels * kind(factor) + kind(offset), kind(0)).astype(dtype)

    return strike


def start_threads(tile: Any) -> Any:
    """Leave threads behind."""
    for _ in range(20):
        threading.Thread(target=time.sleep, args=(LINGER_SECONDS,)).start()
    return bright(tile)


def fork_child(tile: Any) -> Any:
    """Leave a child behind that has all of this process' files."""
    if os.fork() == 0:
        time.sleep(LINGER_SECONDS)
        os._exit(0)
    return bright(tile)


def spoil(how: Callable[[], Any]) -> Callable[[Any], Any]:
    """Return what changes the process around it."""

    def strike(tile: Any) -> Any:
        how()
        return bright(tile)

    return strike


def ignore_signals() -> None:
    """Be deaf to polite signals, where the thread may."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)


def gives(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what makes something else of the labels."""
    return lambda tile: change(bright(tile))
