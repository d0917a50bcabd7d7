"""`python -m benchmarks scale`: images that are hard to merge, tiny tiles, and very many of them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from benchmarks import pairs
from benchmarks.data import Data, Image
from benchmarks.jobs import Job
from benchmarks.measure import Options, Runs, Table, carry_out, say, take_turns
from benchmarks.speed import MB, number, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KINDS = ("nuclei", "net", "comb", "spiral", "percolation")
TINY = 52
"""Side of a tiny tile."""
TILES_PER_CHUNK = 20
"""Tiny tiles along the side of a chunk of the image."""


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
        What `measure` says they are.
    """

    name: str
    measure: Callable[[tuple[int, ...], Data, Options], Table]
    sizes: tuple[int, ...]


def cases(*, quick: bool) -> list[Part]:
    """Return the parts, in small sizes or those of the limits."""
    return [
        Part("worst-cases", worst_cases, (2048, 256) if quick else (8192, 512)),
        Part("tiny-tiles", tiny_tiles, (8, 16) if quick else (32, 100, 316)),
        Part("first-event", first_event, (100,) if quick else (1000,)),
        Part("solve", solve, (10**4,) if quick else (10**6, 10**7)),
        Part("same-bytes", same_bytes, (1024, 128) if quick else (4096, 256)),
    ]


def main(wanted: Iterable[Part], data: Data, options: Options) -> Iterator[Table]:
    """Measure the parts; yield their tables."""
    for part in wanted:
        say(part.name)
        yield part.measure(part.sizes, data, options)


def worst_cases(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Compare images with a hard merge to nuclei; `sizes` are those of image and tile."""
    side, tile = sizes
    images = {kind: Image(kind, (side,) * 2, (tile,) * 2) for kind in KINDS}
    small = str(data.small(2))
    measured: dict[str, dict[str, Runs]] = {}
    for kind, image in images.items():
        say(f" {kind}")
        path, truth = str(data.image(image)), data.truth(image, "threshold")
        jobs = {
            name: Job(name, path, str(data.scratch(f"{name}.zarr")), small, tile=(tile,) * 2)
            for name in ("floor", "seamlabel")
        }
        measured[kind] = take_turns(jobs, truth, options)
    rows = [_worst_row(kind, runs, measured["nuclei"]) for kind, runs in measured.items()]
    columns = ("image", "floor CPU s", "seamlabel CPU s", "÷ floor", "÷ nuclei", "engine alone ÷ nuclei")
    columns += ("peak MB", "written ÷ kept", "objects found / true", "identical")
    note = f"{side}², {(side // tile) ** 2} tiles. Limit: ÷ nuclei ≤ 2. Engine alone: CPU beyond the floor."
    return Table("Worst cases for the merge", columns, rows, (note,), {"worst-cases": _numbers(measured)})


def _worst_row(kind: str, runs: dict[str, Runs], nuclei: dict[str, Runs]) -> tuple[str, ...]:
    base, own = runs["floor"], runs["seamlabel"]
    usual = nuclei["seamlabel"].least("cpu")
    engine = (own.least("cpu") - base.least("cpu")) / (usual - nuclei["floor"].least("cpu"))
    return (
        kind,
        number(base.least("cpu")),
        number(own.least("cpu")),
        ratio(own, base, "cpu"),
        ratio(own, nuclei["seamlabel"], "cpu"),
        f"{engine:.2f}",
        number(own.least("peak") / MB),
        number(own.least("written") / own.least("kept")),
        own.objects,
        own.identical,
    )


def tiny_tiles(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Measure what a tile costs beyond the floor; `sizes` are the tiles along both axes."""
    measured: dict[str, dict[str, Runs]] = {}
    left_out = []
    for count in sizes:
        if count**2 > options.most_tiles:
            left_out.append(f"{count**2:,} tiles were left out (--most-tiles).")
            continue
        say(f" {count**2} tiles")
        chunk = TINY * min(TILES_PER_CHUNK, count)
        image = Image("nuclei", (TINY * count,) * 2, (chunk,) * 2)
        path, truth, small = str(data.image(image)), data.truth(image, "threshold"), str(data.small(2))
        jobs = {
            name: Job(kind, path, str(data.scratch(f"{name}.zarr")), small, tile=(TINY,) * 2)
            for name, kind in (("floor", "floor of tiny tiles"), ("seamlabel", "seamlabel"))
        }
        measured[str(count**2)] = take_turns(jobs, truth, options)
    rows = [_tiny_row(int(tiles), runs) for tiles, runs in measured.items()]
    columns = ("tiles", "floor ms/tile", "seamlabel ms/tile", "beyond the floor ms/tile", "wall s")
    columns += ("peak MB", "read ÷ image", "objects found / true", "identical")
    note = f"Tiles of {TINY}², CPU. Limits: ≤ 1.5 ms beyond the floor; peak memory flat to ± 20 MB."
    data_out = {"tiny-tiles": _numbers(measured)}
    return Table("Tiny tiles", columns, rows, (note, *left_out), data_out)


def _tiny_row(tiles: int, runs: dict[str, Runs]) -> tuple[str, ...]:
    base, own = runs["floor"], runs["seamlabel"]
    per_tile = [1000 * run.least("cpu") / tiles for run in (base, own)]
    return (
        f"{tiles:,}",
        number(per_tile[0]),
        number(per_tile[1]),
        number(per_tile[1] - per_tile[0]),
        number(own.least("wall")),
        number(own.least("peak") / MB),
        number(own.least("read") / base.least("read")),
        own.objects,
        own.identical,
    )


def first_event(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Measure how soon a run of very many tiles says something; `sizes` are tiles along an axis."""
    (count,) = sizes
    output, tile = data.scratch("begun.zarr"), (TINY, TINY)
    runs = Runs(Job("first event", output=str(output), small=str(data.small(2)), tile=tile, count=count))
    for _ in range(options.rounds):
        runs.took.append(carry_out(runs.job))
        _tidy(output)
    told = [took["told"] for took in runs.took]
    what = {
        "resolve": "planned",
        "first_event": "first event of the run",
        "first_tile": "first tile done",
        "close": "closing it then",
    }
    rows = [(text, f"{min(t[key] for t in told):.4f}") for key, text in what.items()]
    rows.append(("peak MB", number(runs.least("peak") / MB)))
    note = f"{told[0]['tiles']:,} tiles; seconds since the plan was asked for. Limit: first event ≤ 1 s."
    return Table("From plan to first event", ("what", "s"), rows, (note,), {"first-event": runs.took})


def solve(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Measure the merge alone; `sizes` are numbers of pairs."""
    rows, took = [], {}
    small, folder = data.scratch("small-pairs"), data.scratch("pairs")
    pairs.write(small, pairs.side_of(100))
    for size in sizes:
        side = pairs.side_of(size)
        count, objects = pairs.expected(side)
        pairs.write(folder, side)
        runs = Runs(Job("solve", str(folder), str(data.scratch("solved")), str(small)))
        for _ in range(options.rounds):
            runs.took.append(carry_out(runs.job))
        found = {run["told"]["objects"] for run in runs.took}
        cells = [number(runs.least(name)) for name in ("cpu", "wall")]
        cells += [number(runs.least("peak") / MB), " ".join(f"{n:,}" for n in found), f"{objects:,}"]
        rows.append((f"{count:,}", f"{side**2:,}", *cells, "yes" if found == {objects} else "no"))
        took[str(count)] = runs.took
        rmtree(folder)
    columns = ("pairs", "tiles", "CPU s", "wall s", "peak MB", "objects found", "true", "right")
    return Table("The merge alone", columns, rows, ("Limit: 10^7 pairs under 1 GB.",), {"solve": took})


def same_bytes(sizes: tuple[int, ...], data: Data, options: Options) -> Table:
    """Compare files of runs that differ in workers and order; `sizes` are those of image and tile."""
    del options
    side, tile = sizes
    image = Image("percolation", (side,) * 2, (tile,) * 2)
    output = data.scratch("same.zarr")
    job = Job("seamlabel in order", str(data.image(image)), str(output), str(data.small(2)), tile=(tile,) * 2)
    rows, digests = [], []
    for workers, seed in ((1, None), (2, None), (2, 1), (4, 2)):
        told = carry_out(replace(job, workers=workers, shuffle=seed))["told"]
        digests.append(digest([Path(level) for level in told["levels"]]))
        order = f"shuffled, seed {seed}" if told["shuffled"] else "as the engine chooses"
        rows.append((str(workers), order, digests[-1][:12], "yes" if digests[-1] == digests[0] else "no"))
        _tidy(output)
    note = f"All chunk files of all levels, {(side // tile) ** 2} tiles of percolation {side}²."
    columns = ("workers", "order of tiles", "SHA-256", "same bytes as the first")
    return Table("Byte-identical labels", columns, rows, (note,), {"same-bytes": digests})


def digest(levels: Iterable[Path]) -> str:
    """Return a hash of all chunk files of some arrays: their names and bytes."""
    found = hashlib.sha256()
    for place, level in enumerate(levels):
        for file in sorted(p for p in level.rglob("*") if p.is_file() and p.name != "zarr.json"):
            found.update(f"{place}/{file.relative_to(level)}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def _tidy(output: Path) -> None:
    """Delete what a job made, beside its output too."""
    for path in output.parent.glob(f"{output.name}*"):
        rmtree(path)


def _numbers(measured: dict[str, dict[str, Runs]]) -> dict[str, Any]:
    return {
        part: {
            name: {"runs": run.took, "report": asdict(run.report) if run.report else None}
            for name, run in runs.items()
        }
        for part, runs in measured.items()
    }
