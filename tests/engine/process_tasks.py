"""Tasks for worker processes, most of them bad; a module of its own, so that a worker starts quickly."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from seamlabel.engine import workers

payload_of_this_worker: list[bytes] = []


def install(payload: bytes) -> None:
    payload_of_this_worker.append(payload)


def install_badly(payload: bytes) -> None:
    with Path(payload.decode()).open("a") as log:
        log.write("installed\n")
    raise ValueError("no such model")


def install_and_die(payload: bytes) -> None:
    with Path(payload.decode()).open("a") as log:
        log.write("installed\n")
    os._exit(9)


def install_slowly(payload: bytes) -> None:
    time.sleep(float(payload))


def double(x):
    return 2 * x


def payloads() -> list[bytes]:
    return payload_of_this_worker


def my_pid() -> int:
    return os.getpid()


def wait_for(path: str) -> str:
    """Note that it began, then wait until the file exists."""
    with Path(path + ".begun").open("a") as log:
        log.write(f"{os.getpid()}\n")
    while not Path(path).exists():
        time.sleep(0.01)
    return path


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def end_with(code: int):
    os._exit(code)


def end_in_c(code: int):
    ctypes.CDLL(None).exit(code)


def kill_myself(number: int):
    os.kill(os.getpid(), number)
    time.sleep(60)


def hang_in_python(begun: str = ""):
    note(begun)
    while True:
        pass


def hang_in_c(begun: str = ""):
    """Hang without ever giving the interpreter's lock back."""
    note(begun)
    ctypes.PyDLL(None).sleep(60)


def hang_deaf(begun: str = ""):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(begun)
    ctypes.PyDLL(None).sleep(60)


def sleep_as_on_other_systems(begun: str = ""):
    """Undo what only Linux has, and watch the parent as on macOS and Windows."""
    ctypes.CDLL(None).prctl(workers.PR_SET_PDEATHSIG, 0, 0, 0, 0)
    threading.Thread(target=workers._watch_parent, daemon=True).start()
    note(begun)
    time.sleep(60)


def note(begun: str) -> None:
    if begun:
        Path(begun).write_text(str(os.getpid()))


def leave(code: int):
    sys.exit(code)


def interrupt():
    raise KeyboardInterrupt


def fail_plainly():
    raise KeyError("no such channel")


class UnpicklableError(Exception):
    def __init__(self) -> None:
        super().__init__("it holds a lambda")
        self.held = lambda: None


class OneWayError(Exception):
    """Can be pickled, and not read again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class OneWayResult:
    def __reduce__(self):
        return int, ("not a number",)


def raise_unpicklable():
    raise UnpicklableError


def raise_one_way():
    raise OneWayError("this", "that")


def give_a_lambda():
    return lambda: None


def give_one_way():
    return OneWayResult()
