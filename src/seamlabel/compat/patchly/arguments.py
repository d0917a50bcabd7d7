"""Arguments by place or name, as the generations of patchly have them, brought under one name each."""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLER_FIRST = ("spatial_size", "patch_size", "step_size", "image", "spatial_first", "mode", "pad_kwargs")
"""Up to 0.0.12; up to 0.0.6 `step_size` is called `patch_offset`."""
SAMPLER_LATER = ("image", "spatial_size", "patch_size", "step_size", "spatial_first", "mode", "pad_kwargs")
SAMPLER_CHUNKED = (*SAMPLER_LATER[:4], "chunk_size", *SAMPLER_LATER[4:])
"""From 0.0.16 on."""
_OUTPUT = ("sampler", "output_size", "output")
_HOW = ("weights", "softmax_dim", "has_batch_dim", "spatial_first")
AGGREGATOR_FIRST = (*_OUTPUT, "chunk_size", *_HOW, "device")
AGGREGATOR_LATER = (*_OUTPUT, *_HOW, "chunk_postprocess_func", "device")
_AT = {"sampler": 4, "aggregator": 3}
"""The place by which generations are told apart."""


def of_sampler(args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return a sampler's arguments by their later names.

    Raises
    ------
    TypeError
        If one is unknown, given twice, or missing.
    """
    if "patch_offset" in options:
        options = {**options, "step_size": options["patch_offset"]} if "step_size" not in options else options
        options = {name: value for name, value in options.items() if name != "patch_offset"}
    order: tuple[str, ...] = SAMPLER_LATER
    if _begins_with_sizes(args, options):
        order = SAMPLER_FIRST
    elif len(args) > _AT["sampler"] and not isinstance(args[_AT["sampler"]], bool):
        order = SAMPLER_CHUNKED
    return _named("GridSampler", order, SAMPLER_CHUNKED, args, options, ("spatial_size", "patch_size"))


def of_aggregator(args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return an aggregator's arguments by name; raises as `of_sampler`."""
    order: tuple[str, ...] = AGGREGATOR_LATER
    at = _AT["aggregator"]
    if len(args) > at and (args[at] is None or (not callable(args[at]) and np.ndim(args[at]) == 1)):
        order = AGGREGATOR_FIRST
    known = (*AGGREGATOR_FIRST, "chunk_postprocess_func")
    return _named("Aggregator", order, known, args, options, ("sampler",))


def _begins_with_sizes(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Return whether the arguments begin with two sizes of one length, not with an image."""
    if not args or args[0] is None or "spatial_size" in options:
        return False
    second = args[1] if len(args) > 1 else options.get("patch_size", args[0])
    if np.ndim(args[0]) != 1 or len(args[0]) != len(np.atleast_1d(second)):
        return False
    return np.asarray(args[0]).dtype.kind in "iu"


def _named(
    function: str,
    order: tuple[str, ...],
    known: tuple[str, ...],
    args: tuple[Any, ...],
    options: dict[str, Any],
    needed: tuple[str, ...],
) -> dict[str, Any]:
    found = dict(zip(order, args, strict=False))
    unknown, twice = set(options) - set(known), set(found) & set(options)
    missing = set(needed) - set(found) - set(options)
    wrong = [
        f"{text} {', '.join(sorted(names))}"
        for text, names in (("does not know", unknown), ("got twice", twice), ("lacks", missing))
        if names
    ]
    if len(args) > len(order):
        wrong.append(f"takes {len(order)} arguments, not {len(args)}")
    if wrong:
        raise TypeError(f"{function} {'; '.join(wrong)}. It takes {', '.join(known)}")
    return found | options
