"""A dense prediction of one image: tiles read, predicted, blended, written. Knows plans, no front."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.blending.blend import Blend
from seamlabel.blending.finishing import finish
from seamlabel.blending.predicting import answered, predict
from seamlabel.codes import code_digest
from seamlabel.engine.dense_names import channel_names, map_path
from seamlabel.engine.dense_needs import measured
from seamlabel.engine.dense_tiles import padded_reader, read_grid, with_context
from seamlabel.engine.identity import identity
from seamlabel.errors import BackendError, Problem, SeamlabelError, SpecError, TileError
from seamlabel.geometry import Box
from seamlabel.io.fingerprint import array_digest
from seamlabel.io.map_places import begun, check_place
from seamlabel.io.maps import MapWriter, finish_all
from seamlabel.io.ngff.model import open_image

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from seamlabel.blending.context import Context
    from seamlabel.engine.segment import TileJob

_ANSWER = "outputs of the model"
"""In the request of a map: how many, of a tile."""


@dataclass(frozen=True)
class Wishes:
    """What is asked of a blend; see `seamlabel.blended.blend`."""

    edge: Any
    padding: str
    align: Any
    weights: Any
    stats: Sequence[str]
    finalize: Any
    outputs: Sequence[str] | None
    dtype: str | None
    skip_empty: Any
    skipped: float
    context: Context | None
    output: Any
    version: str
    overwrite: bool
    batch: int
    retries: int


@dataclass(frozen=True)
class MapStarted:
    """All is checked, and maps are there to be filled: by name, arrays or `MapWriter`; and what blends."""

    maps: dict[str, Any]
    blend: Blend


@dataclass(frozen=True)
class MapTile:
    """A tile is blended; how many, of how many that were to be."""

    done: int
    total: int


class DenseRun:
    """Predicts one image.

    Parameters
    ----------
    job : TileJob
        Plan, source and model.
    wishes : Wishes
        What is asked for.
    """

    def __init__(self, job: TileJob, wishes: Wishes) -> None:
        self.job, self.wishes = job, wishes
        self.plan, self.source = job.plan, job.source
        self.tiled = [axis.tiled for axis in self.plan.axes]
        self.model = self._model()
        align, overlap = wishes.align, None
        if self.plan.spec.overlap == "measure":
            align, overlap = measured(job, self.model, wishes.align, wishes.batch, context=wishes.context)
        edge = wishes.edge or ("shrink" if job.segmenter is None else "snap")
        self.grid = read_grid(self.plan, edge, align, overlap)
        padded = padded_reader(self._pixels, self.grid, wishes.padding)
        self.context = None if wishes.context is None else with_context(wishes.context, padded, self.plan)
        self.reader = self.context or padded
        self._known: dict[int, tuple[Any, Any]] = {}
        self.stats = (wishes.stats,) if isinstance(wishes.stats, str) else tuple(wishes.stats)

    def steps(self) -> Generator[MapStarted | MapTile, None, tuple[Any, dict[str, str]]]:
        """Predict all tiles; return the map (or maps, by name), and where they are."""
        for name in self.stats if self.wishes.output else ():
            check_place(self._where(name), overwrite=self.wishes.overwrite, reads=self._reads())
        _check_dtype(self.wishes.dtype)
        told = {"weights": self.wishes.weights, "stats": self.stats, "finalize": self.wishes.finalize}
        nothing = np.broadcast_to(np.float32(0), self.grid.shape)
        Blend(self.grid, dict.fromkeys(self.stats, nothing), **told)  # before anything is made
        first = self._first()
        with ExitStack() as opened:
            outs = self._outs(first, opened)
            done = set.intersection(*(set(out.done) for out in outs.values())) if self.wishes.output else ()
            channels = first.shape[0] if first.ndim > self.grid.ndim else 1
            precise = any(out.dtype.itemsize > 2 and out.dtype.kind in "iu" for out in outs.values())
            blend = Blend(self.grid, outs, channels=channels, done=done, precise=precise, **told)
            yield MapStarted(outs, blend)
            yield from self._predict(blend)
            if not self.wishes.output:
                return (outs["mean"] if self.stats == ("mean",) else outs), {}
            finish_all(outs.values())
        paths = {name: str(out.folder) for name, out in outs.items()}
        found = {name: open_image(path).arrays[0] for name, path in paths.items()}
        return (found["mean"] if self.stats == ("mean",) else found), paths

    def _first(self) -> NDArray[Any]:
        """Return what the model says of the first tile: how many channels there are.

        It is kept for the map. Where a map goes on that is known, and zeros stand for it.
        """
        name = self.stats[0]
        known = begun(self._where(name), self._request(name)) if self.wishes.output else None
        if known is not None and isinstance(known.get(_ANSWER), list):
            return np.broadcast_to(np.float32(0), (*known[_ANSWER], *self.grid[0].box.shape))
        pixels = self.reader.read(self.grid[0].box)
        many = self.wishes.batch > 1
        for left in range(self.wishes.retries, -1, -1):
            try:
                found = answered(self.predicted((pixels[None] if many else pixels).copy()))
                break
            except SeamlabelError:
                raise
            except Exception as error:  # a model raises what it likes
                if not left:
                    raise TileError(0, f"{type(error).__name__}: {error}") from error
        values, spread = (None if part is None else np.asarray(part[0] if many else part) for part in found)
        self._known[0] = values, spread
        return np.asarray(values)

    def _predict(self, blend: Blend) -> Iterator[MapTile]:
        wishes, total = self.wishes, len(list(blend.needed()))
        numbers = predict(
            blend,
            self.reader.read,
            self.predicted,
            workers=self.plan.workers,
            retries=wishes.retries,
            skip=self._is_empty if self.context or wishes.skip_empty is not None else None,
            skipped=wishes.skipped,
            batch=wishes.batch,
            known=self._known,
        )
        with closing(numbers):  # nothing is predicted or written once nobody asks for more
            for count, _ in enumerate(numbers, 1):
                yield MapTile(count, total)

    def _model(self) -> Any:
        """Return what predicts: the user's function, or what the backend makes."""
        if self.job.segmenter is not None:
            return self.job.function()
        return self.plan.backend.make_maps(self.plan.params, self.job.context())

    def _pixels(self, box: Box) -> NDArray[Any]:
        """Return pixels of a box, all its axes kept: (channels, *box) or box."""
        found = self.source.read(box)
        kept = sum(tiled or n > 1 for tiled, n in zip(self.tiled, box.shape, strict=True))
        lead = found.shape[:1] if found.ndim > kept else ()
        return found.reshape((*lead, *box.shape))

    def predicted(self, pixels: NDArray[Any]) -> Any:
        """Return what the model says, over all axes of the tile."""
        lead = pixels.ndim - self.grid.ndim
        looped = tuple(lead + i for i, tiled in enumerate(self.tiled) if not tiled)
        found = answered(self.model(pixels.squeeze(looped) if looped else pixels))
        parts = tuple(np.asarray(part) for part in found if part is not None)
        if wrong := [str(part.dtype) for part in parts if part.dtype.kind in "cOSU"]:
            raise BackendError(f"the model answers with values of type {wrong[0]}", "Return real numbers")
        if looped:
            parts = tuple(np.expand_dims(part, _back(part.ndim, self.tiled)) for part in parts)
        return parts if len(parts) > 1 else parts[0]

    def _is_empty(self, box: Box) -> bool:
        if self.context and self.context.skip(box):
            return True
        if self.wishes.skip_empty is None:
            return False
        inside, skipping = box.intersect(Box.whole(self.grid.shape)), self.job.skipping
        if not inside.size or skipping.unread(inside):
            return True
        return skipping.mask is None and bool(skipping.read(self.source.read(inside)))

    def _outs(self, first: Any, opened: ExitStack) -> dict[str, Any]:
        """Return what is written to, of each of the stats; `opened` closes it."""
        values = first
        lead = values.ndim - self.grid.ndim
        if lead not in (0, 1) or values.shape[lead:] != self.grid[0].box.shape:
            wanted = self.grid[0].box.shape
            msg = f"the model answers to a tile of {wanted} with {values.shape}"
            raise BackendError(msg, "It must return (outputs, *tile) or the tile's shape")
        _check_finish(self.wishes.finalize, values.shape[0] if lead else 1)
        made = finish(values if lead else values[None], self.wishes.finalize)
        count = len(made) if lead and self.wishes.finalize != "argmax" else 0
        raw = len(values) if lead else 0  # what tiles disagree on is not finished
        count, raw = (0 if n == 1 and self.wishes.outputs is None else n for n in (count, raw))
        classes = np.min_scalar_type(max(len(values) - 1, 1)).name  # the least type that counts so far
        kind = self.wishes.dtype or (classes if self.wishes.finalize == "argmax" else "float32")
        outs = {}
        for name in self.stats:
            each = (count, kind) if name == "mean" else (raw, "float32")
            outs[name] = self._out(name, *each, {_ANSWER: list(values.shape[:lead])})
            if self.wishes.output:
                opened.callback(outs[name].close)
        if self.wishes.output and len({out.chunks[-self.grid.ndim :] for out in outs.values()}) > 1:
            fix = "Ask for the mean as float32 and without finalize, or for it alone"
            raise SpecError([Problem("stats", "the maps would be stored in different blocks", fix)])
        return outs

    def _out(self, name: str, count: int, dtype: str, told: dict[str, Any]) -> Any:
        shape = (count, *self.grid.shape) if count else self.grid.shape
        if self.wishes.output is None:
            return np.zeros(shape, dtype)
        known = getattr(self.model, "outputs", ()) if self.job.segmenter is None else ()
        names = channel_names(name, count, self.wishes.outputs, known)
        return MapWriter(
            self._where(name),
            axes=self.plan.axes,
            shape=self.grid.shape,
            dtype=dtype,
            scale=self.plan.scale,
            translation=self.plan.translation,
            channels=names,
            version=self.wishes.version,
            request={**self._request(name), **told},
            overwrite=self.wishes.overwrite,
            classes=name == "mean" and self.wishes.finalize == "argmax",
        )

    def _reads(self) -> list[str | None]:
        """Return the paths of image and mask, as far as they have any."""
        skip = self.plan.spec.skip_empty
        return [self.plan.info.path, skip if isinstance(skip, str) and skip not in {"otsu", "mask"} else None]

    def _where(self, name: str) -> str:
        """Return the path of one of the maps."""
        return map_path(os.fspath(self.wishes.output), name)

    def _request(self, name: str) -> dict[str, Any]:
        """Return what tells this map from another one."""
        asked = self.plan.spec.model_dump(mode="json", include={"backend", "params", "level", "skip_empty"})
        asked_for = ("padding", "weights", "finalize", "skipped", "context")
        shown = {key: _shown(getattr(self.wishes, key)) for key in asked_for}
        mask = self.job.skipping.mask
        told = identity(self.plan, self.source, self.job.segmenter, mask)
        told["channels"] = ", ".join(map(str, self.plan.channels))
        return {**asked, **shown, **told, "map": name, "grid": self.grid.to_json()}


def _check_finish(how: Any, channels: int) -> None:
    """Raise a `SpecError` if all of a map would have the same value."""
    if channels == 1 and isinstance(how, str) and how in {"softmax", "argmax"}:
        msg = f"{how} is over the outputs of the model, and it has one"
        raise SpecError([Problem("finalize", msg, "Leave its values as they are, or use sigmoid")])


def _check_dtype(name: str | None) -> None:
    """Raise a `SpecError` if maps cannot be of this type."""
    with suppress(TypeError):
        if name is None or np.dtype(name).kind in "iufb":
            return
    fix = "Use float32, float64, uint8, uint16 or another type of numbers"
    raise SpecError([Problem("dtype", f"there are no maps of {name!r}", fix)])


def _shown(wish: Any) -> str:
    """Return what tells a wish from another, in this process and others."""
    if isinstance(wish, np.ndarray):
        return f"array {array_digest(wish)}"
    return f"function {code_digest(wish)}" if callable(wish) else str(wish)


def _back(ndim: int, tiled: list[bool]) -> tuple[int, ...]:
    """Return where axes that were taken out of a tile belong in an answer."""
    lead = ndim - sum(tiled)
    return tuple(lead + i for i, t in enumerate(tiled) if not t)
