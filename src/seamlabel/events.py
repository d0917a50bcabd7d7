"""What a run tells while it goes: a closed union of frozen events.

Every event carries `done` and `total` of the stage it belongs to, so a progress bar keeps no
state. Knows nothing of who listens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

Stage = Literal["segment", "merge", "paint"]
STAGES: tuple[Stage, ...] = ("segment", "merge", "paint")


@dataclass(frozen=True, slots=True)
class _Progress:
    """Base: how far the stage is."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RunStarted(_Progress):
    """The run begins; `total` tiles, staged under `run_dir`.

    Of a run that goes on, tiles that are done or failed before are told next, before the first stage.
    """

    run_dir: str


@dataclass(frozen=True, slots=True)
class StageStarted(_Progress):
    """A stage begins; `total` counts its units (tiles, or blocks of the paint pass)."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class TileDone(_Progress):
    """A tile is staged.

    Its staged label ``l`` (1..n_labels) has the provisional id ``first_id + l``; provisional ids
    of tiles never overlap and grow in order of arrival.
    """

    tile: int
    n_labels: int
    first_id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TileSkipped(_Progress):
    """A tile needs no segmentation, because it is empty."""

    tile: int
    reason: str


@dataclass(frozen=True, slots=True)
class TileFailed(_Progress):
    """A tile failed for good; the run goes on. `detail` is the traceback."""

    tile: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class WorkersReduced(_Progress):
    """Memory ran out: at most `workers` tiles are segmented at once from now on."""

    workers: int
    reason: str


@dataclass(frozen=True, slots=True)
class SeamsMerged(_Progress):
    """Objects found to be one across the seams of a tile that just came in.

    `joined` holds pairs of provisional ids ``(gone, kept)``: every voxel shown with `gone` belongs to
    `kept` from now on. To be applied in order.
    """

    tile: int
    joined: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Heartbeat(_Progress):
    """Sent where no other event came for 0.2 s while work is under way, and as blocks are painted."""

    stage: Stage
    running: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StageFinished(_Progress):
    """A stage ended after `seconds`."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True)
class RunFinished(_Progress):
    """The run ended.

    `path` is the label group that was written, empty if tiles failed and nothing was written;
    `failed` maps tile numbers to reasons; `n_joined` counts the unions across seams. `report` is the
    `MergeReport`, None where nothing was merged; its counts in JSON.
    """

    n_objects: int
    n_joined: int
    path: str
    failed: dict[int, str]
    seconds: float
    run_dir: str
    report: Any = None


Event = (
    RunStarted
    | StageStarted
    | TileDone
    | TileSkipped
    | TileFailed
    | WorkersReduced
    | SeamsMerged
    | Heartbeat
    | StageFinished
    | RunFinished
)


def to_json(event: Event) -> dict[str, Any]:
    """Return the event as plain data, its class name under ``"event"``."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    if values.get("report") is not None:
        values["report"] = values["report"].counts
    return {"event": type(event).__name__, **values}
