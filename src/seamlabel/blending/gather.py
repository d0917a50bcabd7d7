"""Blending in two steps: predictions staged once by any number of processes, then blocks written from them.

`Staged` is filled as a `Blend` is; `gather` writes each block of the map by itself, from the few patches that
see it, with the same bits as a `Blend` on one machine. Knows no model; of storage only a folder.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.blend import Blend
from seamlabel.blending.blocks import Blocks
from seamlabel.blending.sums import check_missing
from seamlabel.blending.windows import PatchWeights
from seamlabel.errors import OutputError, SeamlabelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from seamlabel.patch_grid import PatchGrid

_ABOUT = "staged.json"
_VALUES, _VARIANCES = ".npy", ".variance.npy"


class Staged:
    """Predictions of patches in a folder, one file each, of the part that counts.

    Any number of processes may fill one folder; `seamlabel.blending.predicting.predict` takes it in place of
    a `Blend`. A file gets its name once it is on disk as a whole, so that what a process that was killed left
    is never taken.

    Parameters
    ----------
    folder : str or path-like
        Made if it is not there; on a cluster one that all machines see.
    grid : PatchGrid
        The patches.
    weights : str, Border, callable or array
        Those that the map is blended with: they say which part of a patch counts.
    share : (int, int)
        ``(i, n)``: `needed` gives the i-th of n parts of the patches, from 0.
    request : str
        What tells these predictions from others, such as the model's name and parameters.
    channels : int, optional
        How many predictions have; only needed where patches are skipped.

    Raises
    ------
    OutputError
        If the folder holds what was staged for another grid, other weights or another request.
    ValueError
        If there is no such share.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        grid: PatchGrid,
        weights: Any = "crop",
        *,
        share: tuple[int, int] = (0, 1),
        request: str = "",
        channels: int | None = None,
    ) -> None:
        self.folder, self.grid, self.weights, self.channels = Path(folder), grid, weights, channels
        self.share = _checked(share)
        self._blocks = Blocks(grid, PatchWeights(grid, weights), grid.patch)
        about = {
            "grid": json.loads(grid.to_json()),
            "crop": self._blocks.weights.exclusive,
            "request": request,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / _ABOUT
        if not place.exists():
            self._write(place, json.dumps(about).encode())
        if json.loads(place.read_text()) != about:
            msg = f"{self.folder} holds predictions of another grid, other weights or another request"
            raise OutputError(msg, "Give another folder, or delete it")

    def present(self) -> set[int]:
        """Return the patches that are staged."""
        names = (path.name.removesuffix(_VALUES) for path in self.folder.glob(f"*{_VALUES}"))
        return {int(name) for name in names if name.isdigit()}

    def needed(self) -> Iterator[int]:
        """Yield the patches of this share that are not staged yet."""
        there, (part, parts) = self.present(), self.share
        for number in range(part, len(self.grid), parts):
            if number not in there and self._blocks.inside(number).size:
                yield number

    def add(self, number: int, values: NDArray[Any], variance: NDArray[Any] | None = None) -> bool:
        """Stage what a model says of a patch; as `Blend.add`.

        Returns
        -------
        bool
            False if it is staged already: the first one stays.

        Raises
        ------
        ValueError
            If the shape is not that of the patch.
        """
        box, inside = self.grid[number].box, self._blocks.inside(number)
        cut: tuple[Any, ...] = (..., *inside.relative_to(box).slices)
        if not inside.size or self._place(number).exists():
            return False
        for one, ending in ((variance, _VARIANCES), (values, _VALUES)):  # values last: they say "it is there"
            if one is None:
                continue
            found = np.asarray(one)
            if found.shape[-self.grid.ndim :] != box.shape or found.ndim > self.grid.ndim + 1:
                msg = (
                    f"the prediction of patch {number} has shape {found.shape}, not (channels,) + {box.shape}"
                )
                raise ValueError(msg)
            found = found if found.ndim > self.grid.ndim else found[None]
            self._write(self._place(number, ending), found[cut])
        return True

    def skip(self, number: int, value: float = 0) -> bool:
        """Stage a patch of which it is known that it holds this value everywhere; as `Blend.skip`.

        Raises
        ------
        ValueError
            If it is not known how many channels predictions have.
        """
        if self.channels is None:
            msg = "a patch is skipped: say how many channels predictions have"
            raise ValueError(msg)
        if not self._blocks.inside(number).size or self._place(number).exists():
            return False
        shape = (self.channels, *(1,) * self.grid.ndim)
        self._write(self._place(number), np.full(shape, value, np.float32))
        return True

    def finish(self) -> None:
        """Do nothing: other processes may not have staged their share yet. See `gather`."""

    def read(self, number: int) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
        """Return values and variances of a patch over the part that counts, not read yet; None if missing.

        Raises
        ------
        SeamlabelError
            If its file is damaged.
        """
        place, variances = self._place(number), self._place(number, _VARIANCES)
        if not place.exists():
            return None
        shape = self._blocks.inside(number).shape
        try:
            parts = [np.load(one, mmap_mode="r") for one in (place, variances) if one.exists()]
            whole = [np.broadcast_to(part, (len(part), *shape)) for part in parts]  # skipped: one value
        except (ValueError, EOFError, OSError) as error:
            msg = f"{place} is damaged: {error}"
            raise SeamlabelError(msg, "Delete it, and predict the patch again") from error
        return whole[0], whole[1] if len(whole) > 1 else None

    def discard(self) -> None:
        """Delete the folder, and what killed processes left in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, number: int, ending: str = _VALUES) -> Path:
        return self.folder / f"{number}{ending}"

    def _write(self, place: Path, what: bytes | NDArray[Any]) -> None:
        """Write a file that has its name once all of it is on disk."""
        handle, name = tempfile.mkstemp(".partial", f"{place.stem}-", self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                if isinstance(what, bytes):
                    file.write(what)
                else:
                    np.save(file, what, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise


def gather(staged: Staged, out: Any, *, share: tuple[int, int] = (0, 1), **options: Any) -> Iterator[int]:
    """Write blocks of a map, each by itself from the patches staged; yield the number of each.

    The bits are those of a `Blend` of the same patches. Several processes may write shares of the blocks at
    once: blocks are whole chunks (or shards) of the output. Only the parts that a block needs are read.

    Parameters
    ----------
    staged : Staged
        The predictions.
    out : array or mapping of str to array
        As for `Blend`.
    share : (int, int)
        ``(i, n)``: the i-th of n parts of the blocks, from 0.
    **options
        Of `Blend`: ``stats``, ``finalize``, ``missing``, ``channels``, ``precise``, ``done``, ``on_block``.

    Raises
    ------
    SeamlabelError
        If patches are not staged, before any block is written; unless `missing` says what they are.
    ValueError
        If shapes or options do not fit.
    """
    part, parts = _checked(share)
    blend, done = Blend(staged.grid, out, staged.weights, **options), set(options.get("done", ()))
    wanted = [block for block in range(part, len(blend.blocks), parts) if block not in done]
    there = staged.present()
    check_missing(blend, sorted({n for block in wanted for n in blend.blocks.patches(block)} - there))
    for block in wanted:
        blend.block(block, staged.read)
        yield block


def _checked(share: tuple[int, int]) -> tuple[int, int]:
    part, parts = share
    if not 0 <= part < parts:
        msg = f"share {share}: give (i, n), the i-th of n, from (0, n) to (n - 1, n)"
        raise ValueError(msg)
    return part, parts
