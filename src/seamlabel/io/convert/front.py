"""`convert`: any image to OME-Zarr; `prepare`: what that would make. Python's entry to conversion."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.geometry import Box
from seamlabel.io.convert import stack as stacks
from seamlabel.io.convert.choice import Choice
from seamlabel.io.convert.files import open_array_input, open_file
from seamlabel.io.convert.inputs import ngff_unit
from seamlabel.io.convert.job import Job
from seamlabel.io.convert.pattern import GAPS
from seamlabel.io.convert.work import carry_out
from seamlabel.io.ngff.layout import FORMATS, layout
from seamlabel.io.ngff.places import local_path, local_source
from seamlabel.io.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seamlabel.io.convert.inputs import Input

MOST_WORKERS = 4
SPOTS, SIDE = 8, 8
"""Places at which pixels of an array are looked at, and voxels along each axis."""
ALL = "all"
"""Instead of a stack's name: every stack of a folder, each into an image of its own."""


@dataclass(frozen=True)
class Form:
    """How the image is to lie on disk.

    Parameters
    ----------
    ngff : str
        NGFF version.
    chunks, shards : mapping or sequence of int, optional
        Voxels, by axis letter or one for each axis.
    levels : int, optional
        How many levels.
    """

    ngff: str = "0.5"
    chunks: Mapping[str, int] | Sequence[int] | None = None
    shards: Mapping[str, int] | Sequence[int] | None = None
    levels: int | None = None


def convert(  # noqa: PLR0913 - one call, options by name
    source: Any,
    out: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    stack: str | None = None,
    gaps: str = "error",
    axes: str | None = None,
    series: int | None = None,
    dataset: str | None = None,
    bioio: bool = False,
    scale: Mapping[str, float] | None = None,
    unit: str | Mapping[str, str] | None = None,
    channels: Sequence[str] | None = None,
    ngff: str = "0.5",
    chunks: Mapping[str, int] | Sequence[int] | None = None,
    shards: Mapping[str, int] | Sequence[int] | None = None,
    levels: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Convert an image to OME-Zarr, in memory for a few blocks.

    A conversion that was cut short goes on where it stopped when it is asked for again; the result is the
    same, byte for byte.

    Parameters
    ----------
    source : str, path-like or array
        A TIFF, OME-TIFF, ``.npy``, ``.npz`` or HDF5 file, a picture, an OME-Zarr or zarr array, a folder
        of planes, anything that an installed reader of bioio reads; or a numpy, dask, zarr or h5py array.
    out : str or path-like
        The OME-Zarr to make.
    pattern : str, optional
        Of a folder: the file names, such as ``"img_t{t}_z{z}_c{c}.tif"``. ``{t}`` and ``{z}`` are numbers,
        ``{c}`` numbers or names, ``{stack}`` a name, ``*`` anything; ``/`` for folders below.
    stack : str, optional
        Which of several stacks; ``"all"``: each into ``out/NAME.zarr``.
    gaps : {"error", "fill", "close-up"}
        Missing planes: refuse, fill with zeros, or move the others together.
    axes : str, optional
        Letters of the axes as they lie in the file or array, such as ``"zyx"``.
    series : int, optional
        Which image of a file.
    dataset : str, optional
        Which array of an HDF5 or ``.npz`` file.
    bioio : bool
        Read with bioio, whatever the file is.
    scale : mapping of str to float, optional
        World units per voxel by axis letter, in place of what the file says.
    unit : str or mapping, optional
        Unit of the space axes, or by axis letter.
    channels : sequence of str, optional
        Names of the channels.
    ngff : {"0.5", "0.4"}
        NGFF version.
    chunks, shards : mapping or sequence of int, optional
        Voxels by axis letter, or for every axis.
    levels : int, optional
        Resolution levels; by default until y and x are at most 512.
    workers : int, optional
        Blocks at once; by default as many as there are cores, 4 at most. Each takes some 70 MB.
    overwrite : bool
        Replace an image that is there.
    on_progress : callable, optional
        Called with (voxels done, voxels) of all passes.

    Returns
    -------
    list of str
        The images made: one, or one for each stack.

    Raises
    ------
    SpecError
        If the request does not fit the image.
    ImageError
        If the source cannot be read, or does not say what it holds.
    OutputError
        If the image cannot be written, or something else is there.
    """
    choice = Choice(axes, series, dataset, gaps, bioio)
    known = (dict(scale or {}), unit, tuple(channels) if channels is not None else None)
    jobs = prepare(source, out, choice, Form(ngff, chunks, shards, levels), known, (pattern, stack))
    for job in jobs:
        job.check(overwrite=overwrite)
    total = sum(prod(stage.grid.shape) for job in jobs for stage in job.stages)
    before = 0
    for job in jobs:

        def tell(done: int, _: int, before: int = before) -> None:
            if on_progress:
                on_progress(before + done, total)

        carry_out(job, workers=_workers(workers), overwrite=overwrite, on_progress=tell)
        before += sum(prod(stage.grid.shape) for stage in job.stages)
    return [str(job.folder) for job in jobs]


def _workers(wanted: int | None) -> int:
    if wanted is not None and wanted < 1:
        raise SpecError([Problem("workers", f"{wanted} is no number of workers", "Give 1 or more")])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or min(cores, MOST_WORKERS)


def prepare(
    source: Any,
    out: str | os.PathLike[str],
    choice: Choice,
    form: Form,
    known: tuple[dict[str, float], str | Mapping[str, str] | None, tuple[str, ...] | None],
    files: tuple[str | None, str | None] = (None, None),
) -> list[Job]:
    """Return what is to be made, one image for each stack; nothing is written.

    Parameters
    ----------
    source, out
        As for `convert`.
    choice : Choice
        How the source is read.
    form : Form
        How the result lies on disk.
    known : tuple
        Scale, unit and channel names that the user gives.
    files : tuple
        Pattern and stack.

    Raises
    ------
    SpecError, ImageError, OutputError
        As for `convert`.
    """
    if choice.gaps not in GAPS:
        raise SpecError([Problem("gaps", f"{choice.gaps!r} is unknown", f"Use {', '.join(GAPS)}")])
    if form.ngff not in FORMATS:
        raise SpecError([Problem("ngff", f"{form.ngff!r} is not written", "Use 0.5 or 0.4")])
    folder = Path(local_path(out))
    scale, unit, channels = known
    jobs = []
    for name, found in _inputs(source, choice, *files):
        units = unit if isinstance(unit, dict) else {a: str(unit) for a in found.axes if unit and a in "zyx"}
        said = found.described(scale, _units(units), channels)
        place = folder / f"{name}.zarr" if files[1] == ALL else folder
        _keep_apart(said, place)
        asked = {"source": said.name, "gaps": choice.gaps, "pixels": _spots(said)}
        jobs.append(Job(said, _laid_out(said, form), place, asked))
    return jobs


def _inputs(source: Any, choice: Choice, pattern: str | None, stack: str | None) -> list[tuple[str, Input]]:
    if not isinstance(source, str | os.PathLike):
        return [("", open_array_input(source, choice.axes))]
    path = Path(local_source(source))
    if path.is_dir() and (pattern or not _is_zarr(path)):
        held = stacks.open_folder(path, pattern)
        wanted = sorted(held.found) if stack == ALL else [held.chosen(stack)]
        return [(name, stacks.open_stack(held, name, choice)) for name in wanted]
    if pattern:
        raise SpecError([Problem("pattern", f"{path} is no folder", "Give the folder that holds the planes")])
    return [("", open_file(str(path), choice))]


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray", ".zattrs"))


def _units(given: Mapping[str, str]) -> dict[str, str]:
    found = {axis: ngff_unit(word, axis) for axis, word in given.items()}
    wrong = [axis for axis, name in found.items() if name is None]
    if wrong:
        fix = "Use a unit of length such as micrometer or nm; for t one of time such as s"
        raise SpecError([Problem("unit", f"{given[axis]!r} of {axis} is not known", fix) for axis in wrong])
    return {axis: name for axis, name in found.items() if name is not None}


def _laid_out(said: Input, form: Form) -> Any:
    axes, shape = said.kept, said.shape
    chunks = _per_axis("chunks", form.chunks, axes, shape, None)
    shards = _per_axis("shards", form.shards, axes, shape, chunks)
    if form.levels is not None and form.levels < 1:
        raise SpecError([Problem("levels", f"{form.levels} is no number of levels", "Give 1 or more")])
    if shards and form.ngff != "0.5":
        raise SpecError([Problem("shards", "NGFF 0.4 has none", "Leave them out, or use --ngff 0.5")])
    return layout(
        shape,
        said.dtype.name,
        axes=axes,
        scale=[said.scale.get(axis, 1.0) for axis in axes],
        units=[said.units.get(axis) for axis in axes],
        version=form.ngff,
        chunks=chunks,
        shards=shards,
        levels=form.levels,
        fits=said.fits,
    )


def _per_axis(
    name: str, given: Any, axes: str, shape: tuple[int, ...], usual: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return a number for every axis; 1 for t and c, and all of z, where they are not named."""
    if given is None:
        return None
    if isinstance(given, dict):
        wrong = [axis for axis in given if axis not in axes]
        if wrong or not {"y", "x"} <= set(given):
            fix = f"Name y and x at least, of {', '.join(axes)}: such as y=512,x=512"
            raise SpecError([Problem(name, f"{given} does not fit axes {axes}", fix)])
        given = [given.get(axis, usual[i] if usual else 1) for i, axis in enumerate(axes)]
    sides = tuple(int(side) for side in given)
    space = sum(axis in "zyx" for axis in axes)
    if len(sides) == space:
        sides = (1,) * (len(axes) - space) + sides
    if len(sides) != len(axes) or min(sides) < 1:
        fix = f"Give {space} numbers for {', '.join(axes[-space:])}, or {len(axes)}"
        raise SpecError([Problem(name, f"{given} does not fit axes {axes}", fix)])
    return tuple(map(min, sides, shape)) if name == "chunks" else sides


def _keep_apart(said: Input, place: Path) -> None:
    """Refuse to write an image over what it is made of."""
    real = place.resolve()
    if any(real in (file, *file.parents) for file in (Path(name).resolve() for name in said.files)):
        raise OutputError(f"{said.name} is, or lies in, {place}", "Give another path for the OME-Zarr")


def _spots(said: Input) -> str:
    """Return a digest of some pixels along the diagonal; none are computed for that alone.

    It tells arrays apart, of which there is no file to look at. And what cannot be decoded at all is told
    before anything is written.
    """
    if hasattr(said.array, "__dask_graph__"):
        return ""
    found, reader, shape = 0, said.reader(), said.shape
    spots = 1 if said.files and isinstance(said.array, Segments) else SPOTS
    for spot in range(spots):
        start = tuple((n - 1) * spot // SPOTS for n in shape)
        box = Box(start, tuple(min(a + SIDE, n) for a, n in zip(start, shape, strict=True)))
        found = zlib.crc32(reader(box).tobytes(), found)
    return f"{found:08x}"
