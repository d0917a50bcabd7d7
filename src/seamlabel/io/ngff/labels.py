"""`LabelWriter`: final labels into an OME-Zarr, beside the image or in a store of their own.

The label mirrors the image: as many levels, the same shapes, scales, translations, axes and units,
without the channel axis. Until `commit` its group carries no ``multiscales`` and is not listed, so
every reader ignores it; an older label of that name stays as it is. Knows no tiles and no merging.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import OutputError
from seamlabel.io.ngff.chunkfiles import ChunkFiles, make_array
from seamlabel.io.ngff.documents import (
    LOCK,
    consolidated_groups,
    group_format,
    locked,
    make_group,
    read_attributes,
    write_attributes,
)
from seamlabel.io.ngff.gate import Gate
from seamlabel.io.ngff.generations import OURS, Generation, is_remainder, left_over, remove
from seamlabel.io.ngff.metadata import (
    LabelRecord,
    label_attributes,
    listing,
    writing_attributes,
    written_version,
)
from seamlabel.io.ngff.places import is_elsewhere, local_path, obstacle
from seamlabel.io.ngff.publish import arrays_shown, enter, explained, format_of, image_source, refuse_taken
from seamlabel.io.ngff.shards import shard_shapes
from seamlabel.io.partial import sweep

if TYPE_CHECKING:
    from seamlabel.geometry import Box
    from seamlabel.plan import Plan
    from seamlabel.protocols import Labels

    Shapes = tuple[tuple[int, ...], ...]


def open_sink(plan: Plan, output: str | os.PathLike[str] | None = None) -> LabelWriter:
    """Return the writer of a plan's labels; nothing is written before its `begin`.

    Parameters
    ----------
    plan : Plan
        Says name, levels, scales and units.
    output : str or path-like, optional
        OME-Zarr that gets ``labels/NAME``, ``~`` is expanded; by default the plan's output.

    Raises
    ------
    OutputError
        If there is no place to write to, or it is remote.
    """
    target = plan.output if output is None else output
    if target is None:
        msg = "there is no store to write the labels into"
        raise OutputError(msg, "Give output='somewhere.zarr'")
    return LabelWriter(LabelRecord.of_plan(plan), Path(local_path(target)))


class LabelWriter:
    """Writes one label group; implements `seamlabel.protocols.LabelSink`.

    Every box is written once; boxes of different chunks may be written from several threads. Other
    runs may write the same label at the same time: whoever commits last has it.

    Parameters
    ----------
    record : LabelRecord
        Says name, levels, scales and units.
    store : Path
        Image, or store of its own, that gets ``labels/NAME``.
    """

    def __init__(self, record: LabelRecord, store: Path) -> None:
        self._record = record
        self._store = store
        self._labels = store / "labels"
        self._group = self._labels / record.name
        self._format = format_of(record.info, store)
        self._version = written_version(self._format, read_attributes(store))
        self._generation: Generation | None = None
        self._levels: list[ChunkFiles] = []
        self._made: list[Path] = []
        self._gate = Gate()

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every level over the label axes, full resolution first."""
        return self._record.level_shapes

    @property
    def path(self) -> str:
        """Where the finished label group is found."""
        return str(self._group)

    def check(self) -> None:
        """Raise what `begin` would refuse, without writing anything.

        Raises
        ------
        OutputError
            If the store cannot be written, or holds a label of that name that may not be replaced.
        """
        with explained(self._group):
            hindered = obstacle(self._store)
            if not hindered and is_elsewhere(self._group):
                hindered = f"{self._group} is a link, labels would be written somewhere else"
            if not hindered and self._group.exists() and group_format(self._group) is None:
                strange = not is_remainder(self._group)
                hindered = f"{self._group} exists and is not a zarr group" if strange else ""
            if not hindered and self._group.exists() and not os.access(self._group, os.W_OK | os.X_OK):
                hindered = f"{self._group} cannot be written to"
            if hindered:
                raise OutputError(hindered, "Move it away or check its permissions, or give another output")
            refuse_taken(self._record, self._group)

    def begin(self, dtype: str, chunks: Shapes, blocks: Shapes = ()) -> None:
        """Create the arrays beside those of an older label; every voxel is 0 until it is written.

        If that fails half-way, what was made is removed again.

        Parameters
        ----------
        dtype : str
            ``"uint32"``, or ``"uint64"`` for more than 2**32 - 1 objects.
        chunks : tuple of tuple of int
            Chunk shape of each level in voxels.
        blocks : tuple of tuple of int, optional
            What is written together of each level: the shards, if there are to be any.

        Raises
        ------
        OutputError
            If the store cannot be written, or holds a label of that name that may not be replaced.
        """
        self.check()
        if not self._gate.enter():
            msg = f"writing labels into {self._group} was aborted"
            raise OutputError(msg, "Open a sink anew")
        try:
            with explained(self._group):
                self._create(dtype, chunks, blocks)
        except BaseException:
            self._clean()
            raise
        finally:
            if self._gate.leave():
                self._clean()

    def _create(self, dtype: str, chunks: Shapes, blocks: Shapes) -> None:
        self._generation = self._claim()
        folders = [self._group / name for name in self._generation.names]
        image = self._store / self._record.info.levels[0].path
        shards = shard_shapes(self.shapes, chunks, blocks if self._format == 3 else (), image)
        names = tuple(axis.name for axis in self._record.axes)
        for folder, shape, chunk, shard in zip(folders, self.shapes, chunks, shards, strict=True):
            made = make_array(
                folder, shape, dtype, chunk, zarr_format=self._format, names=names, shards=shard
            )
            self._levels.append(made)

    def _claim(self) -> Generation:
        """Make the groups that are missing and take a generation in the label's."""
        parts: tuple[tuple[Path, dict[str, Any]], ...] = (
            (self._store, {}),
            (self._labels, listing(self._format, {}, version=self._version)),
            (self._group, writing_attributes()),
        )
        if not self._store.exists():
            self._made.append(self._store)
        self._store.mkdir(parents=True, exist_ok=True)
        with locked(self._store):  # else a `labels` group that somebody fills meanwhile would be emptied
            for folder, attributes in parts:
                if group_format(folder) is None:
                    self._made.append(folder)
                    make_group(folder, self._format, attributes)
            return Generation.claim(self._group, len(self.shapes))

    def write(self, level: int, box: Box, labels: Labels) -> None:
        """Write a box made of whole chunks, or cut by the array's end; a box of zeros costs nothing.

        After `abort` nothing is written.

        Raises
        ------
        ValueError
            If the box cuts chunks: two writers in one chunk lose each other's labels.
        OutputError
            If the disk is full or the store went away.
        """
        if not self._gate.enter():
            return
        try:
            self._put(self._levels[level], box, labels)
        finally:
            if self._gate.leave():
                self._clean()

    def _put(self, files: ChunkFiles, box: Box, labels: Labels) -> None:
        with explained(self._group):
            files.write(box, labels)

    def read(self, level: int, box: Box) -> Labels:
        """Read back what was written.

        Raises
        ------
        OutputError
            If the disk fails or the store went away.
        """
        with explained(self._group, "labels cannot be read back from"):
            return self._levels[level].read(box)

    def commit(self) -> None:
        """Make the labels visible, in place of an older label of that name.

        One put of the group's attributes replaces the old label by the new one; then the label is
        listed, consolidated metadata are brought up to date and what is left over is deleted. A
        crash in between leaves the old label or the new one whole.

        Raises
        ------
        OutputError
            If another process keeps the store locked, deleted these arrays, or wrote a label of
            that name that may not be replaced; nothing has changed then.
        """
        with explained(self._group):
            consolidated = [g for g in consolidated_groups(self._labels) if os.access(g, os.W_OK)]
            with locked(consolidated[-1] if consolidated else self._labels):
                generation = self._verified()
                replaced = arrays_shown(self._group)
                others = {path.name for path in self._group.iterdir() if OURS.fullmatch(path.name)}
                others = (others | replaced) - set(generation.names)
                source = image_source(self._record.info, self._store)
                how = generation.names, self._format, source, self._version
                attributes = label_attributes(self._record, *how)
                write_attributes(self._group, attributes, unconsolidate=True)
                self._forget()  # visible: from now on an abort takes nothing back
                with explained(self._group, "labels are whole, but could not be listed, in"):
                    enter(self._group, self._format, consolidated, others)
        with suppress(OSError):  # the label is in place: what cannot be deleted now goes another time
            generation.release()
            with locked(self._store):  # no writer claims arrays just now
                # Markers first: a label committed since has lost its marker, but is shown by then.
                doomed = (replaced | left_over(self._group, others)) - arrays_shown(self._group)
            for name in doomed:
                remove(self._group / name)
            for folder in (self._labels, self._group):
                sweep(folder)

    def _verified(self) -> Generation:
        """Return the arrays to publish, if they are there and nobody else's label would be lost."""
        if self._generation is None or not self._generation.is_whole():
            msg = f"the arrays written into {self._group} are gone: another run replaced them"
            raise OutputError(msg, "Let one run at a time write this label, and run again")
        refuse_taken(self._record, self._group)
        return self._generation

    def abort(self) -> None:
        """Remove everything written since `begin`; an older label stays as it was.

        A `write` that is under way in another thread removes the rest when it ends.
        """
        if self._gate.shut():
            self._clean()

    def _clean(self) -> None:
        if self._generation is not None:
            self._generation.remove()
        if self._made:
            with suppress(OSError), locked(self._store):  # all deleted already: as it should be
                self._unmake()
        if self._store in self._made:
            with suppress(OSError):  # empty, where not even the lock could be written
                self._store.rmdir()
        self._forget()

    def _forget(self) -> None:
        self._generation = None
        self._levels, self._made = [], []

    def _unmake(self) -> None:
        """Delete the groups that `begin` made, unless somebody put a label of theirs into them."""
        for folder in filter(Path.exists, reversed(self._made)):
            others = {path.name for path in folder.iterdir()} - {"zarr.json", ".zgroup", ".zattrs", LOCK}
            if not others:
                remove(folder)
