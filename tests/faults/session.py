"""One session of a job, in a process of its own that others kill: ``python -m tests.faults.session FILE``.

FILE is JSON: what to call, with which arguments, where to note tiles that are reported done, and a file
descriptor to tell on which phase begins.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

PHASES = ("start", "recover", "segment", "merge", "paint", "commit", "remove", "end")


def main(file: str) -> int:
    """Carry out a session; tell what it came to."""
    with open(file, encoding="utf-8") as text:
        given = json.load(text)

    def tell(word: str) -> None:
        os.write(given["pipe"], f"{word}\n".encode())

    tell("start")
    _disguise()
    import numpy as np
    from tests.faults.method import append, noted

    import seamlabel
    from seamlabel.errors import SeamlabelError

    def listen(event: Any) -> None:
        kind, stage = type(event).__name__, getattr(event, "stage", "")
        if kind in ("TileDone", "TileSkipped"):
            append(given["done"], f"{given['session']} {event.tile} {kind}")
        elif kind == "RunStarted":
            tell("recover")
        elif kind == "StageStarted":
            tell(stage)
        elif kind == "StageFinished" and stage == "paint":
            tell("commit")
        elif kind == "RunFinished":
            tell("remove")

    image = given["image"]
    try:
        if given["resume"]:
            again = {"image": np.load(image)} if image.endswith(".npy") else {}
            seamlabel.resume(given["resume"], progress=False, on_event=listen, **given["how"], **again)
        else:
            pixels = np.load(image) if image.endswith(".npy") else image
            wishes = given["wishes"] | given["how"]
            seamlabel.segment(pixels, noted, progress=False, on_event=listen, **wishes)
    except SeamlabelError as error:
        tell(f"error {type(error).__name__}: {error}. {error.hint}".replace("\n", " "))
        return 1
    tell("end")
    return 0


def _disguise() -> None:
    """Let this process be on another machine, and locks be stale sooner, if the environment says so."""
    from seamlabel.io import lock

    if host := os.environ.get("SEAMLABEL_FAULT_HOST"):
        socket.gethostname = lambda: host
    if stale := os.environ.get("SEAMLABEL_FAULT_STALE"):
        lock.STALE_SECONDS, lock.BEAT_SECONDS = float(stale), float(stale) / 8


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
