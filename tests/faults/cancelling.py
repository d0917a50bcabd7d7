"""A run that is cancelled from within: ``python -m tests.faults.cancelling FILE``.

Closes the generator, or raises where events are listened to, once a tile hangs; prints how long the run
took to let go. FILE is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.method import stuck

import seamlabel
from seamlabel.engine.run import run
from seamlabel.events import TileDone
from seamlabel.io.sources import image_info

TILES = 4
"""Tiles that are done before one hangs."""


class Enough(Exception):
    """What the listener raises."""


class Listener:
    """Has tiles hang after a few, and says when one does."""

    def __init__(self, go: Path) -> None:
        self._go, self._done = go, 0

    def hangs(self, event: Any) -> bool:
        """Take an event; return whether a tile hangs."""
        self._done += isinstance(event, TileDone)
        if self._done >= TILES and not self._go.exists():
            self._go.touch()
        return self._go.exists() and self._go.stat().st_size > 0


def main(file: str) -> None:
    """Carry a run out until a tile hangs, cancel, and print the seconds that it took."""
    given = json.loads(Path(file).read_text())
    listener = Listener(Path(given["go"]))
    wishes, start = given["wishes"], 0.0
    if given["way"] == "close":
        target = {"backend": "function", "params": {"target": "tests.faults.method:stuck"}}
        spec = seamlabel.RunSpec(image=given["image"], **target, **wishes)
        events = run(seamlabel.resolve(spec, image_info(given["image"])))
        for event in events:
            if listener.hangs(event):
                break
        start = time.monotonic()
        events.close()
    else:

        def listen(event: Any) -> None:
            nonlocal start
            if listener.hangs(event):
                start = time.monotonic()
                raise Enough

        with suppress(Enough):
            seamlabel.segment(given["image"], stuck, progress=False, on_event=listen, **wishes)
    print(time.monotonic() - start, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
