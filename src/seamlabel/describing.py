"""A plan in words, for people."""

from __future__ import annotations

from typing import Any

from seamlabel.sizes import human

Plan = Any
"""`seamlabel.plan.Plan`, which asks for its words here."""


SHOWN = 3
"""Boxes of a region that are named."""


def summary(plan: Plan) -> str:
    """Return the plan as a few lines for people."""
    names = "".join(axis.name for axis in plan.axes)
    sizes = " x ".join(map(str, plan.grid.shape))
    tiles = " x ".join(map(str, plan.grid.counts))
    lines = [
        f"image    {plan.spec.image or 'array'}, level {plan.spec.level}: {names} {sizes}",
        f"backend  {plan.backend.name} {_describe(plan.params)}{_channels(plan)}",
        f"tiles    {tiles} = {len(plan.grid):,}, shape {_by_axis(plan, plan.grid.tile_shape)}, "
        f"overlap {_by_axis(plan, plan.grid.overlap)} (reads {plan.overread:.2f} x {_what(plan)})",
        *_region(plan),
        f"merge    {_merge(plan)}",
        f"workers  {plan.workers} ({plan.executor}), {human(plan.tile_bytes)} per tile, "
        f"about {human(plan.peak_bytes)} in all, {human(plan.stage_bytes)} of disk for staging",
        f"output   {plan.output or 'a temporary store'}, labels/{plan.spec.name}",
    ]
    lines += [f"table    {plan.spec.table}"] if plan.spec.table else []
    return "\n".join(lines + [f"note     {warning}" for warning in plan.warnings])


def _what(plan: Plan) -> str:
    return "the image" if plan.region.whole else "their own voxels"


def _region(plan: Plan) -> list[str]:
    """Say which tiles are segmented, if not all are."""
    if plan.spec.region is None:
        return []
    boxes = [
        " ".join(f"{a.name}={m}:{n}" for a, m, n in zip(plan.axes, box.start, box.stop, strict=True))
        for box in plan.region.boxes
    ]
    more = "; …" if len(boxes) > SHOWN else ""
    return [f"region   {plan.n_tiles:,} of the tiles, those at {'; '.join(boxes[:SHOWN])}{more}"]


def _channels(plan: Plan) -> str:
    names = [plan.info.channels[i] if plan.info.channels else str(i) for i in plan.channels]
    return f", channel {', '.join(names)}" if names else ""


def _merge(plan: Plan) -> str:
    merge = plan.spec.merge
    text: str = merge.rule
    if merge.has_threshold:
        text += f" of at least {merge.iou:g}"
    elif merge.rule == "touching" and merge.connectivity:
        text += f", connectivity {merge.connectivity}"
    if plan.spec.planes:
        linked = "" if merge.z_link is None else f", linked by iou of at least {merge.z_link:g}"
        text += f"; plane by plane{linked}"
    after = f"; then {', '.join(plan.spec.steps)}" if plan.spec.steps else ""
    return text + after + _removed(plan) + _skipped(plan)


def _removed(plan: Plan) -> str:
    """Say which objects are removed."""
    sizes = [f"under {plan.min_size}"] if plan.min_size > 1 else []
    sizes += [f"over {plan.max_size}"] if plan.max_size else []
    what = [f"{' or '.join(sizes)} voxels"] if sizes else []
    what += ["at the border"] if plan.spec.drop_border else []
    filled = "; holes are filled" if plan.spec.fill_holes else ""
    return filled + (f"; objects {' or '.join(what)} are removed" if what else "")


def _skipped(plan: Plan) -> str:
    """Say which tiles are skipped."""
    limit, level = plan.spec.skip_empty, plan.spec.skip_level
    if limit is None:
        return ""
    if isinstance(limit, float) or limit == "otsu":
        what = f"{limit:g}" if isinstance(limit, float) else limit
        where = "" if level is None else f" on level {level}"
        return f"; tiles with nothing above {what}{where} are skipped"
    return f"; tiles outside {'the mask' if limit == 'mask' else limit} are skipped"


def _by_axis(plan: Plan, values: tuple[int, ...]) -> str:
    return " ".join(f"{a.name}={v}" for a, v in zip(plan.axes, values, strict=True) if a.tiled)


def _describe(params: Any) -> str:
    """Return parameters for people: None is auto; what is empty or the engine's is left out."""
    shown = {k: "auto" if v is None else v for k, v in vars(params).items() if v != {} and k != "min_size"}
    return ", ".join(f"{k}={v}" for k, v in shown.items())
