"""Loads StarDist models: finds them, checks that they fit the tiles, once per process.

Everything that can be wrong with a model is told here, as a `BackendError`, before any tile.
"""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext, redirect_stdout
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from seamlabel.backends.stardist_models import (
    PUBLISHED,
    WEIGHTS,
    cache_folder,
    find_folder,
    is_published,
    model_files,
    read_config,
)
from seamlabel.errors import BackendError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from seamlabel.protocols import SegmentContext

TURN = threading.Lock()
"""The networks of one process take turns: they share its processors, or one GPU."""


def load_model(model: str, context: SegmentContext, device: str, download: bool) -> Any:
    """Return a StarDist model with its weights; the last two of a process are kept.

    Parameters
    ----------
    model : str
        Name of a published model, or a folder.
    context : SegmentContext
        Axes and channels that it has to take.
    device : {"auto", "cpu", "gpu"}
        Where it shall run.
    download : bool
        Whether a published model may be fetched.

    Raises
    ------
    BackendError
        If the model is not here, is not one, takes other axes or channels, or there is no GPU as asked.
    """
    folder = _find(model, download)
    _check(model, folder, context)
    with TURN:
        _check_device(device)
        state = tuple((file, os.stat(file).st_mtime_ns) for file in model_files(folder))
        return _load(folder, device, state)


def _find(model: str, download: bool) -> Path:
    """Return the folder of the model, which is fetched only if that is allowed."""
    folder = find_folder(model)
    if folder is not None:
        return folder
    if not is_published(model):
        msg = f"there is no StarDist model in {model}: no config.json lies there"
        raise BackendError(msg, f"Give the folder of a trained model, or a name: {', '.join(PUBLISHED)}")
    place = cache_folder(model)
    if download:
        _download(model)
        if (folder := find_folder(model)) is not None:
            return folder
    msg = f"the weights of '{model}' are not here; StarDist looks for them in {place}"
    fix = "Allow it to fetch them once (download, --set download=true), or unpack the model's zip from "
    raise BackendError(msg, f"{fix}github.com/stardist/stardist-models into that folder")


def _download(name: str) -> None:
    _quiet()
    from stardist.models import StarDist2D, StarDist3D

    try:
        with TURN, redirect_stdout(StringIO()):
            (StarDist2D if PUBLISHED[name] == 2 else StarDist3D).from_pretrained(name)
    except Exception as error:  # noqa: BLE001 - Keras raises just that
        msg = f"the model '{name}' could not be fetched: {type(error).__name__}: {error}"
        raise BackendError(msg, f"Check the connection, or put the model into {cache_folder(name)}") from None


def _check(name: str, folder: Path, context: SegmentContext) -> None:
    """Raise what keeps the model in `folder` from segmenting tiles of this context."""
    config, axes = read_config(folder), context.axes
    own = "zyx"[-config.ndim :]
    if axes != own:
        hint = f"Choose a model for {axes}"
        if (config.ndim, axes) == (2, "zyx"):
            hint = "Segment plane by plane (planes, --planes), or choose a 3D model"
        elif (config.ndim, axes) == (3, "yx"):
            hint = "Choose a 2D model, or do not segment a stack plane by plane"
        msg = f"the StarDist model {name} segments {own}, and what it would be given is {axes}"
        raise BackendError(msg, hint)
    given = len(context.channels) or 1
    if given != config.channels:
        msg = f"the StarDist model {name} takes {config.channels} channel(s), {given} are chosen"
        raise BackendError(msg, f"Choose {config.channels} of the image's channels, or another model")
    if not any(file.endswith(WEIGHTS) for file in model_files(folder)):
        msg = f"the StarDist model in {folder} has no weights: no .h5 file lies there"
        raise BackendError(msg, "Copy weights_best.h5 there from where the model was trained")


def _check_device(device: str) -> None:
    """Have TensorFlow take GPU memory as it needs it; raise if a GPU is asked for and there is none."""
    _quiet()
    import tensorflow

    gpus = tensorflow.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tensorflow.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # in use already, set up by somebody else
            break
    if device == "gpu" and not gpus:
        msg = "device 'gpu' is asked for, and TensorFlow finds no GPU here"
        raise BackendError(msg, 'Use device "auto" or "cpu"; or install: pip install "tensorflow[and-cuda]"')


@lru_cache(maxsize=2)
def _load(folder: Path, device: str, _files: tuple[tuple[str, int], ...]) -> Any:
    """Return the model of a folder, loaded again where its files have changed."""
    from stardist.models import StarDist2D, StarDist3D

    kind = StarDist2D if read_config(folder).ndim == 2 else StarDist3D
    try:
        with on_device(device), redirect_stdout(StringIO()):
            return kind(None, name=folder.name, basedir=str(folder.parent))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        text = " ".join(str(error).split())[:300]
        msg = f"the StarDist model in {folder} cannot be loaded: {type(error).__name__}: {text}"
        raise BackendError(msg, "Check that its weights are whole and belong to its config.json") from None


def on_device(device: str) -> AbstractContextManager[Any]:
    """Return a context in which TensorFlow computes on this device."""
    if device == "auto":
        return nullcontext()
    import tensorflow

    chosen: AbstractContextManager[Any] = tensorflow.device(f"/{device.upper()}:0")
    return chosen


def _quiet() -> None:
    """Keep TensorFlow's notes on its own start out of people's terminals, unless they want them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
