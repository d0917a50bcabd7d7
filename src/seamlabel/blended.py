"""The Python front of dense predictions: `blend` predicts an image tile by tile into one map."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

from seamlabel.api import method_fields
from seamlabel.blending.context import Context
from seamlabel.engine.dense import DenseRun, MapTile, Wishes
from seamlabel.engine.segment import NoStore, TileJob
from seamlabel.engine.skipping import skip_fields
from seamlabel.errors import BackendError, Problem, SpecError
from seamlabel.io.opened import as_source
from seamlabel.io.sources import image_info, open_source
from seamlabel.plan import resolve
from seamlabel.spec import MergeSpec, RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from seamlabel.engine.dense import MapStarted
    from seamlabel.patch_grid import PatchGrid
    from seamlabel.plan import Plan


@dataclass(frozen=True)
class Blended:
    """What `blend` gave.

    Parameters
    ----------
    values : array, or dict of str to array
        The map: in memory, axes (channels,) (t)(z)yx; or lazily from its store, axes (t)(channels,)(z)yx.
        Several, by name, if other stats than the mean were asked for.
    paths : dict of str to str
        The OME-Zarr of each; empty where they are in memory.
    grid : PatchGrid
        The tiles, as they were read.
    seconds : float
        Wall time.
    """

    values: Any
    paths: dict[str, str]
    grid: PatchGrid
    seconds: float

    @property
    def path(self) -> str:
        """The OME-Zarr of the map; "" where it is in memory."""
        return self.paths.get("mean", next(iter(self.paths.values()), ""))


def blend(  # noqa: PLR0913 - one call for everything, all but two by name
    image: Any,
    model: str | Callable[[NDArray[Any]], Any],
    *,
    params: Any = None,
    axes: str | None = None,
    level: int = 0,
    channels: Any = None,
    planes: bool = False,
    tile_shape: Any = "auto",
    overlap: Any = "auto",
    edge: str | None = None,
    padding: str = "reflect",
    align: int | Sequence[int] | None = None,
    weights: Any = "crop",
    stats: Sequence[str] = ("mean",),
    finalize: Any = None,
    outputs: Sequence[str] | None = None,
    dtype: str | None = None,
    skip_empty: Any = None,
    skip_level: int | None = None,
    skipped: float = 0.0,
    context: Any = None,
    output: str | os.PathLike[str] | None = None,
    version: str = "0.5",
    overwrite: bool = False,
    workers: int | None = None,
    batch: int = 1,
    retries: int = 1,
    on_tile: Callable[[int, int], None] | None = None,
) -> Blended:
    """Predict an image tile by tile, and blend the predictions into one map without seams.

    Parameters
    ----------
    image : str, path or array
        An OME-Zarr, or a numpy, zarr or dask array; TIFF, HDF5 and other files, folders with a pattern, HDF5
        datasets, torch tensors: see `seamlabel.io.opened.as_source`.
    model : str or callable
        A backend that predicts (``"torch"``, ``"bioimageio"``, ``"cellpose"``; ``"function"`` with the params
        ``target``, ``"file.py:name"``, and ``keywords``), or a function ``fn(tile) -> values`` of
        shape (outputs, *tile) or tile; or a tuple of these and of their variances.
    params, axes, level, channels, planes
        As for `seamlabel.segment`.
    tile_shape, overlap
        As for `seamlabel.segment`: a tile reads `overlap` voxels more than it owns on every side.
        ``"measure"``: as far as the model is found to see, and tiles are aligned as it is found to pool.
    edge : {"snap", "even", "shrink", "pad"}, optional
        What happens where the last tile would reach past the image; see `PatchGrid`. By default "shrink"
        for backends, which are given what there is, as in `seamlabel.segment`, and "snap" for functions.
    padding : str
        How the image is padded where tiles reach past it: one of numpy's modes.
    align : int or sequence of int, optional
        Tiles are read from multiples of it on, and are multiples long, as networks that pool need it; by
        default what the backend says, or 1.
    weights : str, Border, callable or array
        ``"crop"`` takes each voxel from the tile that owns it: exact where the model sees no further than
        the overlap. ``"gaussian"``, ``"hann"``, ``"flat"``, a `Border`, a function of a length or an
        array of the shape of tiles as they are read: for models that see further, and approximate.
    stats : sequence of str
        ``"mean"``; ``"disagreement"`` and ``"sigma"`` of the tiles that see a voxel; see `Blend`.
    finalize : {"softmax", "argmax", "sigmoid"}, callable or None
        Done to each finished block of the map.
    outputs : sequence of str, optional
        Names of the map's channels; by default those that the backend has for its outputs.
    dtype : str, optional
        numpy name; values are rounded and clipped for integers. float32 by default, of "argmax" uint8.
    skip_empty : float, "otsu", path or array, optional
    skip_level : int, optional
        As for `seamlabel.segment`: tiles that hold nothing are not predicted, and have `skipped`.
    skipped : float
        What the model is taken to say of tiles that are not predicted, before `finalize`.
    context : mapping or Context, optional
        What a 2D model sees of the planes around the one that it predicts, as channels:
        ``{"identity": [-1, 0, 1], "mean": [[-3, -2], [2, 3]]}``; see `seamlabel.blending.context.Context`.
        Planes are predicted one by one; those not in its `z_slices` have `skipped`.
    output : str or path, optional
        The OME-Zarr to make, with a pyramid; of other stats beside it, ``NAME-disagreement.zarr``. What
        was cut short goes on when the same is asked for again. None: the map is kept in memory.
    version : {"0.5", "0.4"}
        NGFF version of it.
    overwrite : bool
        Replace what is there.
    workers : int, optional
        Tiles at once; by default as many as cores and memory allow.
    batch : int
        Tiles that a function gets at once, with an axis for them in front; 1: one, without.
    retries : int
        How often a tile that fails is tried again.
    on_tile : callable, optional
        Called with (tiles done, tiles).

    Returns
    -------
    Blended
        The map.

    Raises
    ------
    SpecError
        If the request does not fit the image.
    ImageError, OutputError, BackendError
        If image, output or model cannot be used.
    TileError
        If a tile fails; what is written goes on when the same is asked for again.
    """
    given = dict(locals())
    tell = given.pop("on_tile")
    for step in _steps(given):
        if isinstance(step, Blended):
            return step
        if tell is not None and isinstance(step, MapTile):
            tell(step.done, step.total)
    raise AssertionError  # the last step is the map


def blend_steps(*args: Any, **wishes: Any) -> Iterator[MapStarted | MapTile | Blended]:
    """Do what `blend` does, step by step; closing it stops the run, which goes on when asked for again.

    Parameters
    ----------
    *args, **wishes
        As for `blend`, but for `on_tile`.

    Yields
    ------
    MapStarted, MapTile or Blended
        Maps that are there to be filled; each tile; at last what `blend` returns.

    Raises
    ------
    SeamlabelError
        As `blend` does, at the first step or later.
    """
    given = signature(blend).bind(*args, **wishes)
    given.apply_defaults()
    return _steps({name: value for name, value in given.arguments.items() if name != "on_tile"})


def _steps(given: dict[str, Any]) -> Iterator[MapStarted | MapTile | Blended]:
    """Predict what was asked for; `given` are the arguments of `blend`."""
    start, image = time.perf_counter(), as_source(given["image"], given["axes"])
    path = os.fspath(image) if isinstance(image, str | os.PathLike) else None
    place = image if path is None else path
    given["context"] = _context(given["context"])
    if given["batch"] < 1:
        raise SpecError([Problem("batch", f"{given['batch']} tiles", "Give 1 or more")])
    plan, predictor, mask = _planned(given, image_info(place, axes=given["axes"]))
    source = open_source(place, plan.info, given["level"], plan.channels)
    try:
        job = TileJob(plan, source, NoStore(), predictor, mask)
        work = DenseRun(job, Wishes(**{name: given[name] for name in Wishes.__dataclass_fields__}))
        values, paths = yield from work.steps()
    finally:
        source.close()
    yield Blended(values, paths, work.grid, time.perf_counter() - start)


def _planned(given: dict[str, Any], info: Any) -> tuple[Plan, Any, Any]:
    """Return the plan, the model if it is a function, and the mask if it is an array."""
    model, params = given["model"], given["params"]
    if isinstance(model, str) and model != "function":
        from seamlabel import registry

        if not registry.backend(model).maps:
            able = ", ".join(name for name, one in registry.backends().items() if one.maps)
            raise BackendError(
                f"'{model}' gives labels, no predictions", f"Give a function, or one of {able}"
            )
        if given["batch"] > 1:
            fix = "Leave it at 1: backends that take pieces at once have a parameter batch_size"
            raise SpecError([Problem("batch", f"'{model}' takes tiles one by one", fix)])
    fields, function = _named(params or {}) if model == "function" else method_fields(model, params)
    skip, mask = skip_fields(given["skip_empty"])
    wishes = {name: given[name] for name in _FIELDS}
    across = given["context"] is not None and given["context"].axis == "z" and "z" in info.names
    wishes["planes"] = given["planes"] or across
    spec = RunSpec(**fields, **wishes, skip_empty=skip, merge=MergeSpec(rule="touching"))
    return resolve(spec, info), function, mask


_FIELDS = ("level", "channels", "tile_shape", "overlap", "workers", "retries", "skip_level")
"""Arguments that are fields of a `RunSpec`, which checks them."""


def _named(params: Any) -> tuple[dict[str, Any], Any]:
    """Return the fields of a spec for a function that is named, as it was named, and the function."""
    from seamlabel.functions import load_function

    found = load_function(params.get("target", ""), purpose="takes pixels and returns values")
    fields, function = method_fields(found, params.get("keywords"))
    return {**fields, "params": params}, function


def _context(given: Any) -> Context | None:
    """Return what a model is to see of the planes around."""
    if given is None or isinstance(given, Context):
        return given
    try:
        return Context(given)
    except (ValueError, TypeError, AttributeError) as error:
        fix = "Give offsets by operation, such as {'identity': [-1, 0, 1]}"
        raise SpecError([Problem("context", str(error), fix)]) from None
