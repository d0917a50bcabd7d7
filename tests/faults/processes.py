"""Sessions seen from outside: started, listened to, killed, and looked for when they should be gone.

Knows processes, no labels.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "SEAMLABEL_FAULT_TOKEN"
GONE_SECONDS = 2.0
ROOT = Path(__file__).parents[2]


def with_token(token: str) -> list[psutil.Process]:
    """Return the processes that live, but as zombies, and have this token in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Leftovers:
    """Looks, two seconds after something ended, for processes that did not end with it."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._looks: list[threading.Timer] = []

    def expect_none(self, token: str, what: str) -> None:
        """Look for processes with this token in two seconds' time."""
        timer = threading.Timer(GONE_SECONDS, self._look, (token, what))
        timer.start()
        self._looks.append(timer)

    def _look(self, token: str, what: str) -> None:
        for process in with_token(token):
            with suppress(psutil.Error):
                self.found.append(f"{what}: {process.pid} {' '.join(process.cmdline())[-120:]}")

    def wait(self) -> None:
        """Wait until all was looked for."""
        for look in self._looks:
            look.join()
        self._looks.clear()


class Session:
    """A process that carries out a job's session and tells its phases.

    Parameters
    ----------
    given : mapping
        For `tests.faults.session`.
    environment : mapping
        Of the process and its workers; holds a token.
    log : Path
        Gets what it prints.
    """

    def __init__(self, given: Mapping[str, Any], environment: Mapping[str, str], log: Path) -> None:
        self._read, write = os.pipe()
        file = log.with_name(f"session-{uuid4().hex[:8]}.json")
        file.write_text(json.dumps({**given, "pipe": write}))
        command = [sys.executable, "-W", "ignore", "-m", "tests.faults.session", str(file)]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=dict(environment), stdout=out, stderr=out, pass_fds=(write,),
                start_new_session=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        os.close(write)
        self._file = file
        self.times: dict[str, float] = {}
        self.error = ""
        self._text = b""

    def hear(self, seconds: float, until: str = "") -> bool:
        """Listen for so long, or until a phase begins; return False once the process has ended."""
        end = time.monotonic() + seconds
        while not (until and until in self.times):
            ready = select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]
            if not ready:
                return True
            data = os.read(self._read, 4096)
            if not data:
                self.process.wait()
                return False
            *lines, self._text = (self._text + data).split(b"\n")
            for line in lines:
                word = line.decode()
                if word.startswith("error "):
                    self.error = word
                self.times.setdefault(word.split()[0], time.monotonic())
        return True

    def told(self, phase: str) -> float | None:
        """Return when a phase began, None if it did not."""
        self.hear(0.0)
        return self.times.get(phase)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that segment tiles."""
        found = []
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if any("spawn_main" in part for part in child.cmdline()):
                        found.append(child)
        return found

    def kill(self, whom: str, pick: int) -> bool:
        """Kill -9 the coordinator, one worker or all; return whether there was one that lived."""
        if self.process.poll() is not None:
            return False
        if whom == "worker":
            workers = self.workers()
            if workers:
                with suppress(psutil.Error):
                    workers[pick % len(workers)].kill()
            return bool(workers)
        family = psutil.Process(self.process.pid).children(recursive=True) if whom == "group" else []
        self.process.send_signal(signal.SIGKILL)
        for child in family:
            with suppress(psutil.Error):
                child.kill()
        self.process.wait()
        return self.process.returncode == -signal.SIGKILL

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self._read)
        self._file.unlink(missing_ok=True)
