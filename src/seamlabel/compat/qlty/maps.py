"""The maps of a quilt on disk: OME-Zarr images of mean and standard deviation, made, taken up and read."""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.axes import Axis
from seamlabel.blending.blend import Blend
from seamlabel.errors import OutputError, SeamlabelError
from seamlabel.io.convert.journal import Journal
from seamlabel.io.map_places import JOURNAL
from seamlabel.io.maps import MapWriter
from seamlabel.io.ngff.model import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.patch_grid import PatchGrid

_PLACES = {"mean": "_mean.zarr", "sigma": "_std.zarr"}


class Maps:
    """``FILENAME_mean.zarr`` and ``FILENAME_std.zarr``; what is unfinished there goes on.

    Parameters
    ----------
    filename : str or path
        What their names begin with.
    grid : PatchGrid
        Over (N, space).
    weights : array
        What the voxels of a patch count.
    told : dict
        What tells these maps from others, beside the grid; as JSON has it.
    overwrite : bool
        Replace maps that are there, finished or not.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        grid: PatchGrid,
        weights: NDArray[np.float32],
        told: dict[str, Any],
        overwrite: bool,
    ) -> None:
        self.filename, self.grid, self.weights = os.fspath(filename), grid, weights
        self.told, self.overwrite = told, overwrite
        self._outs: dict[str, MapWriter] = {}
        self._blend: Blend | None = None
        self._lock = threading.Lock()

    def needed(self) -> Iterator[int]:
        """Yield the patches that are missing, in raster order; all, where nothing is begun or all is done.

        Raises
        ------
        OutputError
            If what is there is unfinished, and of another quilt.
        """
        channels = self._unfinished() if self._blend is None and not self.overwrite else None
        if channels is not None:
            self._begin(channels)
        return iter(range(len(self.grid))) if self._blend is None else self._blend.needed()

    def add(self, number: int, values: NDArray[Any], variance: NDArray[Any] | None) -> None:
        """Add a patch (C, 1, window); as `Blend.add`.

        Raises
        ------
        OutputError
            If maps are there that are finished, or of another quilt.
        """
        with self._lock:
            if self._blend is None:
                self._begin(len(values))
        assert self._blend is not None
        self._blend.add(number, values, variance)

    def finish(self) -> None:
        """Write what is left, and make the maps images that readers see.

        Raises
        ------
        SeamlabelError
            If patches are missing.
        """
        if self._blend is not None:
            self._blend.finish()
            for out in self._outs.values():
                out.finish()
            self._outs, self._blend, self.overwrite = {}, None, False
        elif self._unfinished() is not None or not self._place("mean").exists():
            left = len(list(self.needed()))
            msg = f"{left} of {len(self.grid)} patches are missing in {self._place('mean')}"
            raise SeamlabelError(msg, "Stitch those that needed() yields")

    def read(self, name: str) -> NDArray[Any]:
        """Return a finished map, (N, C, space).

        Raises
        ------
        OutputError
            If it is of another quilt.
        """
        found: NDArray[Any] = np.asarray(open_image(self._place(name)).arrays[0][...])
        if (found.shape[0], *found.shape[2:]) != self.grid.shape:
            msg = f"{self._place(name)} has shape {found.shape}: it is of another quilt"
            raise OutputError(msg, "Give another filename, or overwrite=True")
        return found

    def close(self) -> None:
        """Let go of the maps, finished or not; what is written of them is kept."""
        for out in self._outs.values():
            out.close()
        self._outs, self._blend = {}, None

    def __del__(self) -> None:
        """Let others write where this one did."""
        with suppress(Exception):
            self.close()

    def _place(self, name: str) -> Path:
        return Path(self.filename + _PLACES[name])

    def _unfinished(self) -> int | None:
        """Return how many channels unfinished maps have; None if there are none."""
        journal = Journal(self._place("mean"), JOURNAL)
        if not journal.exists():
            return None
        request = journal.read()[0]
        return int(request["channels"]) if "channels" in request else None

    def _begin(self, channels: int) -> None:
        """Make the maps, or take them up: by now it is known how many channels they have."""
        goes_on, place = not self.overwrite and self._unfinished() is not None, self._place("mean")
        for name in _PLACES:
            self._outs[name] = self._writer(name, channels)
        done = set.intersection(*(set(out.done) for out in self._outs.values()))
        stats = tuple(_PLACES)
        self._blend = Blend(self.grid, self._outs, self.weights, stats=stats, done=done, raster=True)
        if goes_on:
            count = len(self.grid) - len(list(self._blend.needed()))
            msg = f"{place} goes on: {count} of {len(self.grid)} patches are in it. For a new map give"
            warnings.warn(f"{msg} another filename, or overwrite=True", stacklevel=4)

    def _writer(self, name: str, channels: int) -> MapWriter:
        space = "zyx"[1 - self.grid.ndim :]
        return MapWriter(
            self._place(name),
            axes=[Axis("t", "time"), *(Axis(letter, "space") for letter in space)],
            shape=self.grid.shape,
            dtype="float32",
            scale=[1.0] * self.grid.ndim,
            channels=tuple(f"output {i}" for i in range(channels)),
            request={**self.told, "channels": channels, "grid": self.grid.to_json()},
            overwrite=self.overwrite,
        )
