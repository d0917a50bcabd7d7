"""`LabelWriter`: final labels into an OME-Zarr, beside the image or in a store of their own.

The label mirrors the image: as many levels, the same shapes, scales, translations, axes and units,
without the channel axis. Until `commit` its group carries no ``multiscales`` and is not listed, so
every reader ignores it; an older label of that name stays as it is. Knows no tiles and no merging.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.io.ngff.documents import (
    LOCK,
    consolidated_groups,
    group_format,
    locked,
    make_group,
    nodes,
    read_attributes,
    reconsolidate,
    write_attributes,
)
from seamlabel.io.ngff.metadata import (
    label_attributes,
    listing,
    ngff_part,
    provenance,
    writing_attributes,
)
from seamlabel.io.ngff.store import create_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seamlabel.geometry import Box
    from seamlabel.io.ngff.documents import ZarrFormat
    from seamlabel.plan import Plan
    from seamlabel.protocols import Labels

_OURS = re.compile(r"(\d+)\.(\d+)")
"""Names of our arrays: generation and level."""


def open_sink(plan: Plan, output: str | os.PathLike[str] | None = None) -> LabelWriter:
    """Return the writer of a plan's labels; nothing is written before its `begin`.

    Parameters
    ----------
    plan : Plan
        Says name, levels, scales and units.
    output : str or path-like, optional
        OME-Zarr that gets ``labels/NAME``; by default the plan's output.

    Raises
    ------
    OutputError
        If there is no place to write to.
    """
    target = plan.output if output is None else os.fspath(output)
    if target is None:
        msg = "there is no store to write the labels into"
        raise OutputError(msg, "Give output='somewhere.zarr'")
    return LabelWriter(plan, Path(target))


class LabelWriter:
    """Writes one label group; implements `seamlabel.protocols.LabelSink`.

    Every box is written once; boxes of different chunks may be written from several threads.

    Parameters
    ----------
    plan : Plan
        Says name, levels, scales and units.
    store : Path
        Image, or store of its own, that gets ``labels/NAME``.
    """

    def __init__(self, plan: Plan, store: Path) -> None:
        self._plan = plan
        self._store = store
        self._labels = store / "labels"
        self._group = self._labels / plan.spec.name
        self._format = _format(plan, store)
        self._arrays: list[Any] = []
        self._paths: list[str] = []
        self._made: list[Path] = []

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every level over the label axes, full resolution first."""
        return self._plan.level_shapes

    @property
    def path(self) -> str:
        """Where the finished label group is found."""
        return str(self._group)

    def begin(self, dtype: str, chunks: tuple[tuple[int, ...], ...]) -> None:
        """Create the arrays beside those of an older label; every voxel is 0 until it is written.

        Parameters
        ----------
        dtype : str
            ``"uint32"``, or ``"uint64"`` for more than 2**32 - 1 objects.
        chunks : tuple of tuple of int
            Chunk shape of each level in voxels.

        Raises
        ------
        OutputError
            If the store cannot be written, or holds a label of that name that may not be replaced.
        """
        with _explained(self._group):
            self._check()
            self._make_groups()
            generation = 1 + max((int(m[1]) for m in map(_OURS.fullmatch, self._names()) if m), default=0)
            self._paths = [f"{generation}.{level}" for level in range(len(self.shapes))]
            names = tuple(axis.name for axis in self._plan.axes)
            for path, shape, chunk in zip(self._paths, self.shapes, chunks, strict=True):
                folder = self._group / path
                array = create_array(folder, shape, dtype, chunk, zarr_format=self._format, names=names)
                self._arrays.append(array)

    def _check(self) -> None:
        if self._store.exists() and group_format(self._store) is None and any(self._store.iterdir()):
            msg = f"{self._store} exists and is not a zarr group"
            raise OutputError(msg, "Give another output path")
        if not self._group.exists():
            return
        if group_format(self._group) is None and any(self._group.iterdir()):
            msg = f"{self._group} exists and is not a zarr group"
            raise OutputError(msg, "Move it away, or give another name")
        attributes = read_attributes(self._group)
        whole = "multiscales" in ngff_part(attributes)
        own = attributes.get("seamlabel") or {}
        # A run that was killed within its commit finds its own label, whole but perhaps not listed.
        same = isinstance(own, dict) and own.get("spec") == provenance(self._plan)
        if whole and not same and not self._plan.spec.overwrite:
            msg = f"{self._group} exists"
            raise OutputError(msg, "Give another name, or overwrite=True (--overwrite) to replace it")

    def _make_groups(self) -> None:
        parts: tuple[tuple[Path, dict[str, Any]], ...] = (
            (self._store, {}),
            (self._labels, listing(self._format, {})),
            (self._group, writing_attributes()),
        )
        self._store.mkdir(parents=True, exist_ok=True)
        with locked(self._store):  # else a `labels` group that somebody fills meanwhile would be emptied
            for folder, attributes in parts:
                if group_format(folder) is None:
                    make_group(folder, self._format, attributes)
                    self._made.append(folder)

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._group.iterdir())

    def write(self, level: int, box: Box, labels: Labels) -> None:
        """Write a box made of whole chunks, or cut by the array's end; a box of zeros costs nothing.

        Raises
        ------
        ValueError
            If the box cuts chunks: two writers in one chunk lose each other's labels.
        OutputError
            If the disk is full or the store went away.
        """
        array = self._arrays[level]
        edges = zip(box.start, box.stop, array.chunks, array.shape, strict=True)
        if any(a % c or (b % c and b != n) for a, b, c, n in edges):
            msg = f"{box} is not made of whole chunks of {array.chunks}"
            raise ValueError(msg)
        if not labels.any():
            return
        with _explained(self._group):
            array[box.slices] = labels.astype(array.dtype, copy=False)

    def read(self, level: int, box: Box) -> Labels:
        """Read back what was written."""
        return np.asarray(self._arrays[level][box.slices])

    def commit(self) -> None:
        """Make the labels visible, in place of an older label of that name.

        One put of the group's attributes replaces the old label by the new one; then the label is
        listed, consolidated metadata are brought up to date and what is left over is deleted. A
        crash in between leaves the old label or the new one whole.

        Raises
        ------
        OutputError
            If another process keeps the store locked.
        """
        with _explained(self._group):
            doomed = frozenset(self._group / name for name in self._left_over())
            consolidated = [g for g in consolidated_groups(self._labels) if os.access(g, os.W_OK)]
            with locked(consolidated[-1] if consolidated else self._labels):
                self._publish(consolidated, doomed)
        for folder in doomed:
            _remove(folder)
        self._made = []
        self._arrays, self._paths = [], []

    def _publish(self, consolidated: list[Path], doomed: frozenset[Path]) -> None:
        attributes = label_attributes(self._plan, self._paths, self._format, self._source())
        write_attributes(self._group, attributes, unconsolidate=True)
        old = read_attributes(self._labels)
        new = listing(self._format, old, self._plan.spec.name)
        if new != old:
            write_attributes(self._labels, new)
        changed = [self._labels, *nodes(self._group, doomed)]
        for group in consolidated:
            reconsolidate(group, changed, self._group)

    def _left_over(self) -> set[str]:
        """Return what this label replaces: arrays of the older one, and those of runs that died."""
        old = [
            dataset.get("path")
            for image in ngff_part(read_attributes(self._group)).get("multiscales") or ()
            for dataset in image.get("datasets") or ()
        ]
        present = set(self._names())
        names = {name for name in present if _OURS.fullmatch(name)} | (present & {str(path) for path in old})
        return names - set(self._paths)

    def _source(self) -> str | None:
        """Return where the image lies, seen from the label group; None for arrays.

        Absolute from a store of its own, so that it stays right when ``labels`` is copied elsewhere,
        even into the image.
        """
        if self._plan.info.path is None:
            return None
        image = Path(self._plan.info.path).resolve()
        return "../../" if image == self._store.resolve() else image.as_posix()

    def abort(self) -> None:
        """Remove everything written since `begin`; an older label stays as it was."""
        for path in self._paths:
            _remove(self._group / path)
        if self._made:
            with suppress(FileNotFoundError), locked(self._store):  # all deleted already: as it should be
                self._unmake()
        self._made = []
        self._arrays, self._paths = [], []

    def _unmake(self) -> None:
        """Delete the groups that `begin` made, unless somebody put a label of theirs into them."""
        for folder in reversed(self._made):
            others = {path.name for path in folder.iterdir()} - {"zarr.json", ".zgroup", ".zattrs", LOCK}
            if not others:
                _remove(folder)


def _format(plan: Plan, store: Path) -> ZarrFormat:
    """Return the zarr format to write: that of the store, else of the image, else 3."""
    found = group_format(store)
    if found is not None:
        return found
    return 2 if plan.info.ngff_version in ("0.1", "0.2", "0.3", "0.4") else 3


@contextmanager
def _explained(group: Path) -> Iterator[None]:
    """Turn the system's errors into one that names the label and says what to do."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        msg = f"labels cannot be written into {group}: {error}"
        raise OutputError(msg, "Check permissions and free disk space, or give another output") from error


def _remove(folder: Path) -> None:
    """Delete a folder; what cannot be deleted stays, hidden, and the next commit tries again."""
    with suppress(OSError):
        shutil.rmtree(folder)
