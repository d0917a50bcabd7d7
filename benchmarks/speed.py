"""`python -m benchmarks speed`: the whole job against the floor and against peers, in one run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from benchmarks.data import Data, Image
from benchmarks.jobs import SLOW_SECONDS, Job
from benchmarks.measure import Options, Runs, Table, peers_of, say, take_turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COLUMNS = (
    "job",
    "CPU s",
    "CPU ÷ floor",
    "CPU ÷ seamlabel",
    "wall s",
    "wall ÷ floor",
    "peak MB",
    "read ÷ image",
    "written ÷ kept",
    "objects found / true",
    "identical",
)
MB = 1e6


@dataclass(frozen=True)
class Case:
    """An image and a function, with the limits that seamlabel is held to.

    Parameters
    ----------
    image : Image
        Segmented with tiles that are its chunks.
    function : str
        Key of `benchmarks.jobs.FUNCTIONS`.
    overlap : int
        Voxels that a tile reads past its core, for all but the floor.
    peers : tuple of str
        Jobs of other packages.
    once : tuple of str
        Those of them that are run once.
    """

    image: Image
    function: str = "threshold"
    overlap: int = 0
    peers: tuple[str, ...] = ("patchworks", "patchworks iou")
    once: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A word for each of function and image."""
        return f"{self.function}-{'x'.join(map(str, self.image.shape))}"

    @property
    def title(self) -> str:
        """What the table is called."""
        what = {
            "threshold": "threshold + label",
            "gaussian": "gaussian + threshold + label",
            "slow": "0.3 s of waiting per tile + threshold + label",
        }[self.function]
        workers = "one worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{what}, {self.image.title}, overlap {self.overlap}, {workers}"

    @property
    def workers(self) -> int:
        """Tiles at once: one where the time of the function is taken off."""
        return 1 if self.function == "slow" else 2


def cases(*, quick: bool) -> list[Case]:
    """Return what is measured."""
    plane, chunk = (2048, 512) if quick else (8192, 1024)
    nuclei = Image("nuclei", (plane,) * 2, (chunk,) * 2)
    all_peers = ("patchworks", "patchworks iou", "dask-image")
    slow = Image("nuclei", (plane // 2,) * 2, (chunk,) * 2)
    volume = Image("nuclei", (128, 256, 256), (64, 128, 128))
    large = []
    if not quick:
        volume = Image("nuclei", (256, 1024, 1024), (64, 256, 256))
        large = [Case(Image("nuclei", (2 * plane,) * 2, (chunk,) * 2))]
    return [
        Case(nuclei, peers=all_peers, once=("dask-image",)),
        *large,
        Case(nuclei, "gaussian", overlap=8),
        Case(volume),
        Case(slow, "slow", peers=()),
    ]


def main(wanted: Iterable[Case], data: Data, options: Options) -> Iterator[Table]:
    """Measure the cases; yield a table for each, and one of the limits."""
    versions = peers_of(options)
    measured = {}
    for case in wanted:
        measured[case] = measure(case, data, options, versions)
        yield case_table(case, measured[case], versions)
    yield limits(measured)


def measure(case: Case, data: Data, options: Options, versions: dict[str, str]) -> dict[str, Runs]:
    """Run floor, seamlabel and those peers that are there, in turns."""
    say(case.title)
    image, small = str(data.image(case.image)), str(data.small(len(case.image.shape)))
    truth = data.truth(case.image, "threshold" if case.function == "slow" else case.function)
    names = ["floor", "seamlabel"]
    names += [name for name in case.peers if name.split()[0] in versions]
    jobs = {
        name: Job(
            name,
            image,
            str(data.scratch(f"{name.replace(' ', '-')}.zarr")),
            small,
            case.function,
            case.image.chunks,
            case.overlap,
            case.workers,
        )
        for name in names
    }
    return take_turns(jobs, truth, options, once=case.once)


def case_table(case: Case, runs: dict[str, Runs], versions: dict[str, str]) -> Table:
    """Return the table of a case: minima of the rounds, in brackets the ratio of the medians."""
    compressed = max(run.least("kept") for name, run in runs.items() if name == "floor")
    rows = [_row(name, runs, versions) for name in runs]
    data = {
        name: {
            "runs": run.took,
            "error": run.error,
            "job": {k: v for k, v in asdict(run.job).items() if k in ("function", "tile", "overlap")},
            "report": asdict(run.report) if run.report else None,
        }
        for name, run in runs.items()
    }
    failed = tuple(f"{name} failed: {run.error}" for name, run in runs.items() if run.error)
    note = f"The floor's labels, without seams joined, are {compressed / MB:.1f} MB on disk."
    return Table(case.title, COLUMNS, rows, (note, *failed), {case.name: data})


def _row(name: str, runs: dict[str, Runs], versions: dict[str, str]) -> tuple[str, ...]:
    run, base, own = runs[name], runs["floor"], runs["seamlabel"]
    package, *mode = name.split()
    title = [package, *([versions[package]] if package in versions else []), *mode]
    once = ["(one run)"] if 0 < len(run.took) < len(base.took) else []
    return (
        " ".join(title + once),
        number(run.least("cpu")),
        ratio(run, base, "cpu"),
        f"{run.least('cpu') / own.least('cpu'):.2f}",
        number(run.least("wall")),
        ratio(run, base, "wall"),
        number(run.least("peak") / MB),
        number(run.least("read") / _image_bytes(base)),
        number(run.least("written") / run.least("kept")),
        "-" if name == "floor" else run.objects,
        "not merged" if name == "floor" else run.identical,
    )


def _image_bytes(base: Runs) -> float:
    """Return the bytes that reading each chunk once takes: what the floor read."""
    return base.least("read")


def ratio(run: Runs, base: Runs, name: str) -> str:
    """Return the ratio of minima, and in brackets that of medians."""
    return f"{run.least(name) / base.least(name):.2f} ({run.middle(name) / base.middle(name):.2f})"


def number(value: float) -> str:
    """Return a number with three digits that count; a dash for one that is not there."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def limits(measured: dict[Case, dict[str, Runs]]) -> Table:
    """Return what was promised beside what was measured: medians of all rounds."""
    rows: list[tuple[str, ...]] = []
    for case, runs in measured.items():
        base, own = runs["floor"], runs["seamlabel"]
        if case.function == "slow":
            rows += _slow_limits(case, base, own)
            continue
        top, goal = (1.6, 1.3) if case.function == "gaussian" else (2.4, 1.6)
        rows.append(_limit(case, "CPU ÷ floor", own.middle("cpu") / base.middle("cpu"), top, goal))
        if case.function == "threshold":
            rows.append(_limit(case, "wall ÷ floor", own.middle("wall") / base.middle("wall"), 1.2, 0.8))
        for name, least in (("patchworks", 2.5), ("patchworks iou", 4.0)):
            if case.function == "threshold" and name in runs and runs[name].took:
                value = runs[name].middle("cpu") / own.middle("cpu")
                rows.append(_limit(case, f"CPU of {name} ÷ seamlabel", value, least, None, above=True))
    return Table("Limits (medians)", ("case", "what", "measured", "limit", "goal", "met"), rows)


def _slow_limits(case: Case, base: Runs, own: Runs) -> list[tuple[str, ...]]:
    tiles = 1
    for n, t in zip(case.image.shape, case.image.chunks, strict=True):
        tiles *= -(-n // t)
    share = 100 / (tiles * SLOW_SECONDS)
    return [
        _limit(
            case, f"{name} beyond the floor, % of waiting", share * (own.middle(key) - base.middle(key)), 5
        )
        for name, key in (("CPU", "cpu"), ("wall", "wall"))
    ]


def _limit(
    case: Case, what: str, value: float, limit: float, goal: float | None = None, *, above: bool = False
) -> tuple[str, ...]:
    met = value >= limit if above else value <= limit
    sign = "≥" if above else "≤"
    return (
        case.name,
        what,
        f"{value:.2f}",
        f"{sign} {limit:g}",
        f"{sign} {goal:g}" if goal else "-",
        "yes" if met else "no",
    )
