"""`python -m benchmarks gui`: what a user of the dock feels; needs a display (xvfb-run will do)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import isnan
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.data import Data, Image
from benchmarks.measure import Options, Table, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.gui_window import Window

VIEWS = {"zoomed in": (2, 1.0), "zoomed out": (2, 0.0), "3D": (3, 0.0)}
"""Displayed dimensions, and pixels of the screen for one of the image; 0 for all of the image."""
STALL_MS, SEEN_S, LOAD, FOLLOW_MS = 100, 1.0, 0.10, 100
"""Limits: of stalls zoomed in, of a tile until it is seen, of the idle window, of the grid."""
REST_S = 5.0
"""Over which the load of the window is taken."""


@dataclass(frozen=True)
class Part:
    """A part of this benchmark.

    Parameters
    ----------
    name : str
        Word for the command line.
    measure : callable
        Gives its table from sizes, data and options.
    sizes : tuple of int
        Sides of the image, of its chunks, and of the tiles.
    """

    name: str
    measure: Callable[[tuple[int, ...], Data, Options], Table]
    sizes: tuple[int, ...]


def cases(*, quick: bool) -> list[Part]:
    """Return the parts, on a small image or on that of the limits."""
    return [
        Part("streaming", streaming, (1024, 128, 128) if quick else (16384, 512, 512)),
        Part("load", load, (1024, 128, 128) if quick else (16384, 512, 512)),
        Part("grid", grid, (1024, 128, 32) if quick else (16384, 512, 51)),
    ]


def main(wanted: Iterable[Part], data: Data, options: Options) -> Iterator[Table]:
    """Measure the parts; yield their tables."""
    warm_up(data)
    for part in wanted:
        say(part.name)
        yield part.measure(part.sizes, data, options)


def warm_up(data: Data) -> None:
    """Have everything loaded and compiled that napari loads and compiles at its first use."""
    window = _opened((512, 128), data, 128)
    window.bar.run_button.click()
    window.wait(lambda: not window.run.active)
    window.viewer.dims.ndisplay = 3
    window.rest(1)
    window.close()


def _opened(sizes: tuple[int, ...], data: Data, tile: int) -> Window:
    from benchmarks.gui_window import Window

    side, chunk = sizes[:2]
    path = data.image(Image("nuclei", (side,) * 2, (chunk,) * 2))
    return Window(path, data.scratch("gui.zarr"), tile, overlap=tile // 16)


def streaming(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Measure stalls, and how soon tiles are seen, while a run goes on."""
    found: dict[str, list[dict[str, float]]] = {view: [] for view in VIEWS}
    for _ in range(options.rounds):
        for view, (ndisplay, zoom) in VIEWS.items():
            say(f" {view}")
            found[view].append(_stream(sizes, data, ndisplay, zoom))
    rows = [_stream_row(view, runs) for view, runs in found.items()]
    columns = (
        "view",
        "longest stall ms",
        "own work in one ms",
        "99 % under ms",
        "stalls > 50 ms",
        "stalls > 100 ms",
        "at the start ms",
    )
    columns += ("tile seen after s", "at most s", "tiles/s", "holds")
    tiles = int(found["zoomed in"][0]["tiles"])
    note = (
        f"{sizes[0]}², {tiles:,} tiles, worst of {options.rounds}; limits zoomed in: stall ≤ {STALL_MS} ms, "
    )
    return Table(
        "While a run streams in", columns, rows, (f"{note}seen ≤ {SEEN_S:g} s.",), {"streaming": found}
    )


def _stream(sizes: tuple[int, ...], data: Data, ndisplay: int, zoom: float) -> dict[str, float]:
    from benchmarks.gui_window import Arrivals, Stalls

    window = _opened(sizes, data, sizes[2])
    try:
        window.viewer.dims.ndisplay = ndisplay
        window.look(zoom)
        arrivals, stalls = Arrivals(window), Stalls()
        began = time.perf_counter()
        window.bar.run_button.click()
        window.wait(lambda: window.shown or not window.run.active)
        start, stalls = stalls.end()["longest"], Stalls()
        window.wait(lambda: not window.run.active)
        took, states = time.perf_counter() - began, window.run.progress.states
        if window.run.progress.result is None:
            raise RuntimeError(window.bar.failures.text() or window.bar.result.text())
        seen = arrivals.seconds or [float("nan")]
        tiles = states["done"] + states["empty"]
        times = {"seen": median(seen), "latest": max(seen), "tiles": tiles, "seconds": took}
        times["start"] = start
        return {**stalls.end(), **times}
    finally:
        window.close()


def _stream_row(view: str, runs: list[dict[str, float]]) -> tuple[str, ...]:
    worst: dict[str, float] = {name: max(run[name] for run in runs) for name in runs[0]}
    holds = worst["longest"] <= STALL_MS and worst["latest"] <= SEEN_S
    return (
        view,
        f"{worst['longest']:.0f}",
        f"{worst['work']:.0f}",
        f"{worst['p99']:.0f}",
        f"{worst['over 50 ms']:.0f}",
        f"{worst['over 100 ms']:.0f}",
        f"{worst['start']:.0f}",
        *("-" if isnan(worst[name]) else f"{worst[name]:.2f}" for name in ("seen", "latest")),
        f"{worst['tiles'] / worst['seconds']:.0f}",
        "-" if view != "zoomed in" else "yes" if holds else "no",
    )


def load(sizes: tuple[int, ...], data: Data, _options: Options) -> Table:
    """Measure how busy the window's thread is while nothing happens, and while a run is paused."""
    window = _opened(sizes, data, sizes[2])
    try:
        window.look(1.0)
        found = {"nothing runs": window.rest(REST_S)}
        window.bar.run_button.click()
        window.wait(lambda: window.run.progress.done > 0 or not window.run.active)
        window.bar.pause_button.click()
        window.wait(lambda: window.run.progress.paused or not window.run.active)
        found["paused"] = window.rest(REST_S)
        window.bar.cancel_button.click()
        window.wait(lambda: not window.run.active)
        found["after a cancelled run"] = window.rest(REST_S)
    finally:
        window.close()
    rows = [(what, f"{100 * busy:.1f} %", "yes" if busy <= LOAD else "no") for what, busy in found.items()]
    note = f"CPU time of that thread over {REST_S:g} s. Limit: {100 * LOAD:.0f} %."
    return Table("Load of the idle window", ("while", "busy", "holds"), rows, (note,), {"load": found})


def grid(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Measure how soon the grid follows a change of a spin box; `sizes` ends with the tile to come to."""
    window, tile = _opened(sizes, data, sizes[2] + 1), sizes[2]
    try:
        window.look(0.0)
        rows = [_follow(window, tile + change % 2) for change in range(2 * options.rounds)]
        states: Any = window.widget.controller.canvas.states
        count = len(states.grid)
    finally:
        window.close()
    waits, works = [wait for wait, _ in rows], [work for _, work in rows]
    cells = [
        ("from the change to the drawn grid", waits, FOLLOW_MS + PREVIEW_MS),
        ("beyond the pause that waits for more changes", works, FOLLOW_MS),
    ]
    table = [(n, f"{median(v):.0f}", f"{max(v):.0f}", "yes" if max(v) <= m else "no") for n, v, m in cells]
    note = (
        f"{count:,} tiles. The grid waits {PREVIEW_MS} ms for more changes; limit beyond it: {FOLLOW_MS} ms."
    )
    columns = ("what", "median ms", "longest ms", "holds")
    return Table(
        "Grid follows the spin box", columns, table, (note,), {"grid": {"total": waits, "beyond": works}}
    )


PREVIEW_MS = 150


def _follow(window: Window, tile: int) -> tuple[float, float]:
    """Return ms from a change of a spin box until the grid is drawn, whole and beyond the wait."""
    canvas, box = window.widget.controller.canvas, window.widget.form.tiles.shape.boxes[-1]
    drawn: list[float] = []

    def look(_event: Any) -> None:
        if canvas.states is not None and canvas.states.grid.tile_shape[-1] == tile:
            drawn.append(time.perf_counter())

    draw = window.viewer.window._qt_viewer.canvas._scene_canvas.events.draw
    window.rest(0.3)
    draw.connect(look, position="last")
    began = time.perf_counter()
    box.setValue(tile)
    window.wait(lambda: bool(drawn))
    draw.disconnect(look)
    took = 1000 * (drawn[0] - began)
    return took, max(0.0, took - PREVIEW_MS)
