"""The record of a BioImage.IO model: what its network takes, and how tiles are cut for it.

Everything that keeps a model from segmenting tiles is told here, as a `BackendError`. Runs nothing of
the model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.backends.patches import Patches
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from seamlabel.protocols import SegmentContext

_NAMES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")
_GIVE = "Give the zip file or the folder of a model as bioimage.io has them"
_POOLING = 32
"""Networks that take pieces of one size do not tell how they pool: no more than this, as a rule."""


@dataclass(frozen=True)
class Record:
    """What a model's record says, as far as tiles are concerned.

    Parameters
    ----------
    name : str
        Of the model.
    axes : str
        Space axes that it takes, as ``"zyx"`` has them in order.
    channels : int
        How many it takes.
    input_axes, output_axes : tuple of str
        Names of all axes of the first input and output tensor.
    patches : Patches
        How tiles are cut.
    single : bool
        It takes one piece at a time.
    description : ModelDescr
        The record as `bioimageio.spec` has read it.
    """

    name: str
    axes: str
    channels: int
    input_axes: tuple[str, ...]
    output_axes: tuple[str, ...]
    patches: Patches
    single: bool
    description: Any

    def check(self, context: SegmentContext) -> None:
        """Raise a `BackendError` if tiles of this context are not what the model takes."""
        if sorted(self.axes) != sorted(context.axes):
            hint = f"Choose a model for {context.axes}"
            if len(self.axes) == 2 and len(context.axes) == 3:
                hint = "Segment plane by plane (planes, --planes), or choose a 3D model"
            elif len(self.axes) == 3 and len(context.axes) == 2:
                hint = "Choose a 2D model, or do not segment a stack plane by plane"
            msg = f"the model '{self.name}' takes {self.axes}, and what it would be given is {context.axes}"
            raise BackendError(msg, hint)
        given = len(context.channels) or 1
        if given != self.channels:
            msg = f"the model '{self.name}' takes {self.channels} channel(s), {given} are chosen"
            raise BackendError(msg, f"Choose {self.channels} of the image's channels, or another model")


def files_of(model: str) -> list[Path]:
    """Return the files of a model that lies here: its zip file, or all in its folder; else none."""
    path = Path(model).expanduser()
    if path.suffix in {".yaml", ".yml"}:
        path = path.parent
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file()) if _place(model).is_file() else []


def read_record(model: str, download: bool) -> Record:
    """Return the record of a model; the last four of a process are kept while their files stay as they are.

    Parameters
    ----------
    model : str
        Zip file, folder or YAML file; or the name, DOI or address of a published model.
    download : bool
        Whether a published model may be fetched.

    Raises
    ------
    BackendError
        If it is not here, is not in order, or its network is none that answers for each voxel of one
        image.
    """
    path = _place(model)
    if path.is_file():
        return _read(str(path.absolute()), path.stat().st_mtime_ns)
    looks_local = os.sep in model and "://" not in model and Path(model).expanduser().parent.is_dir()
    if looks_local or not download:
        msg = (
            f"there is no model at {path}" if looks_local else f"the model '{model}' is not on this computer"
        )
        raise BackendError(
            msg, _GIVE if looks_local else f"{_GIVE}; or allow it to be fetched: download=true"
        )
    return _read(model, 0)


def _place(model: str) -> Path:
    """Return the file that a model would be read from, if it lies here."""
    path = Path(model).expanduser()
    if not path.is_dir():
        return path
    return next((path / name for name in _NAMES if (path / name).is_file()), path / _NAMES[0])


@lru_cache(maxsize=4)
def _read(source: str, _state: int) -> Record:
    from loguru import logger

    logger.disable("bioimageio")  # its notes are for its own users
    from bioimageio.spec import load_model_description

    try:
        found = load_model_description(source, format_version="latest", perform_io_checks=False)
    except Exception as error:  # noqa: BLE001 - of pydantic, yaml, zipfile, requests and its own
        text = " ".join(str(error).split())[:300]
        msg = f"{source} is no model that can be read: {text}"
        raise BackendError(msg, _GIVE) from None
    return _record(found)


def _record(found: Any) -> Record:
    name, inputs = found.name, [each for each in found.inputs if not each.optional]
    if len(inputs) != 1:
        msg = f"the model '{name}' takes {len(inputs)} images at once, and tiles are of one"
        raise BackendError(msg, "Choose a model with one input")
    given, answer = found.inputs[0], found.outputs[0]
    kinds = {axis.type: axis for axis in given.axes}
    space = sorted(
        (axis for axis in given.axes if axis.type == "space"), key=lambda a: "zyx".index(str(a.id))
    )
    if {"time", "index"} & kinds.keys() or not 1 <= len(space) <= 3:
        msg = f"the model '{name}' takes axes {', '.join(str(axis.id) for axis in given.axes)}"
        raise BackendError(msg, "Choose a model that takes y, x or z, y, x, and channels")
    out = {str(axis.id): axis for axis in answer.axes if axis.type == "space"}
    for axis in space:
        like = out.get(str(axis.id))
        if like is None or like.scale != axis.scale:
            msg = f"the output of the model '{name}' is not of the size of its input along {axis.id}"
            raise BackendError(msg, "Choose a model that answers for each voxel")
    batch = kinds.get("batch")
    return Record(
        name=name,
        axes="".join(str(axis.id) for axis in space),
        channels=len(kinds["channel"].channel_names) if "channel" in kinds else 1,
        input_axes=tuple(str(axis.id) for axis in given.axes),
        output_axes=tuple(str(axis.id) for axis in answer.axes),
        patches=_patches(found, space, out),
        single=batch is None or batch.size == 1,
        description=found,
    )


def _patches(found: Any, space: list[Any], out: dict[str, Any]) -> Patches:
    """Return how tiles are cut: as a whole if sides may grow, else in pieces of the one size."""
    sizes = [_size(found, axis) for axis in space]
    step = tuple(size.step if hasattr(size, "step") else min(_POOLING, size & -size) for size in sizes)
    least = tuple(size.min if hasattr(size, "step") else size for size in sizes)
    if all(hasattr(size, "step") for size in sizes):
        return Patches(step, least)
    halos = [getattr(out[str(axis.id)], "halo", 0) for axis in space]
    halos = [halo or size // 8 for halo, size in zip(halos, least, strict=True)]
    halos = [min(halo, (size - one) // 2) for halo, size, one in zip(halos, least, step, strict=True)]
    return Patches(step, least, least, tuple(halos))


def _size(found: Any, axis: Any) -> Any:
    """Return the size of an axis, a number or one that may grow; looked up where it is that of another."""
    size = axis.size
    for _ in found.inputs:
        if not hasattr(size, "axis_id"):
            break
        tensor = next(each for each in found.inputs if each.id == size.tensor_id)
        size = next(each for each in tensor.axes if each.id == size.axis_id).size
    return size
