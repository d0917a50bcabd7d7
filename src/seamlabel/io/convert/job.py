"""`Job`: one image to be made of an input, and what is to be done about what is there already.

Looks and refuses, writes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError, OutputError
from seamlabel.io.convert.journal import Journal, differences, stamps
from seamlabel.io.ngff.documents import group_format, read_attributes
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.model import label_names
from seamlabel.io.ngff.places import obstacle
from seamlabel.io.ngff.publish import explained
from seamlabel.io.partial import sweep

if TYPE_CHECKING:
    from pathlib import Path

    from seamlabel.io.convert.inputs import Input
    from seamlabel.io.ngff.layout import ImageLayout, Stage

FAILED = "the image cannot be written into"


@dataclass(frozen=True)
class Job:
    """One image to be made.

    Parameters
    ----------
    source : Input
        The pixels.
    plan : ImageLayout
        How they are to lie.
    folder : Path
        Becomes the image.
    asked : dict
        What else tells one request from another.
    """

    source: Input
    plan: ImageLayout
    folder: Path
    asked: dict[str, Any]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The passes."""
        return self.plan.stages(self.source.fits)

    @property
    def request(self) -> dict[str, Any]:
        """What is asked for, as JSON gives it back."""
        plan = self.plan
        wanted = {
            **self.asked,
            "axes": plan.names,
            "shape": plan.shape,
            "type": plan.dtype,
            "scale": plan.scale,
            "units": [axis.unit for axis in plan.axes],
            "channels": self.source.channels,
            "NGFF": plan.version,
            "chunks": plan.chunks,
            "shards": plan.shards,
            "levels": [level.shape for level in plan.levels],
            "blocks": [stage.grid.tile_shape for stage in self.stages],
        }
        found: dict[str, Any] = json.loads(json.dumps(wanted))
        return found

    def check(self, *, overwrite: bool) -> str:
        """Return what is to be done: "new", "replace", "resume" or "done"; raise what is in the way.

        Raises
        ------
        OutputError
            If the folder holds something else, or an unfinished conversion of another request.
        """
        folder = self.folder
        with explained(folder, FAILED):
            journal = Journal(folder)
            if journal.exists():
                return self._state(journal, overwrite=overwrite)
            if not folder.exists() or _is_free(folder):
                if hindered := obstacle(folder):
                    raise OutputError(hindered, "Give another path, or check its permissions")
                return "new"
            return self._replaceable(overwrite=overwrite)

    def _state(self, journal: Journal, *, overwrite: bool) -> str:
        try:
            request, old, _ = journal.read()
        except ImageError:
            if overwrite:
                return "replace"
            raise
        differ = differences((request, old), (self.request, stamps(self.source.files)))
        if not differ:
            whole = "multiscales" in ngff_part(read_attributes(self.folder)) if self._is_group else False
            return "done" if whole else "resume"
        if overwrite:
            return "replace"
        msg = f"{self.folder} holds an unfinished conversion of another request; {'; '.join(differ)}"
        raise OutputError(msg, "Give the same options to go on with it, another path, or --overwrite")

    @property
    def _is_group(self) -> bool:
        return group_format(self.folder) is not None

    def _replaceable(self, *, overwrite: bool) -> str:
        if not self._is_group:
            msg = f"{self.folder} is not a zarr group, it is not replaced"
            raise OutputError(msg, "Move it away, or give another path")
        if not overwrite:
            raise OutputError(f"{self.folder} exists", "Give another path, or --overwrite to replace it")
        if labels := label_names(self.folder):
            msg = f"{self.folder} holds labels that would be lost: {', '.join(labels[:10])}"
            raise OutputError(msg, "Remove it yourself, or give another path")
        if hindered := obstacle(self.folder):
            raise OutputError(hindered, "Give another path")
        return "replace"


def _is_free(folder: Path) -> bool:
    """Return whether a folder is empty but for what killed writers left."""
    sweep(folder)
    return folder.is_dir() and not any(folder.iterdir())
