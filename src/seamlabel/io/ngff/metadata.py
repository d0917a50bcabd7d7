"""NGFF attributes as this package writes them: axes, datasets, image-label, provenance. Pure.

Knows the wording of NGFF 0.4 (zarr 2), 0.5 and 0.6 (zarr 3); writes nothing itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel import __version__
from seamlabel.io.ngff.strict import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seamlabel.axes import Axis, ImageInfo
    from seamlabel.io.ngff.documents import ZarrFormat
    from seamlabel.plan import Plan

VERSIONS: dict[ZarrFormat, str] = {2: "0.4", 3: "0.5"}
"""NGFF version that goes with each zarr format."""
WRITABLE = re.compile(r"0\.([1-5]|6(rc\d+)?)")
"""NGFF versions of images that labels are written into; drafts of 0.6 are read only."""
_WORLD = "physical"
"""Coordinate system that the levels of labels in 0.6 lead to."""
_SAMPLED = {
    "type": "nearest",
    "metadata": {
        "description": "the label at the centre of the voxels that a voxel stands for",
        "method": "seamlabel.kernels.pyramid.sample_index",
        "version": __version__,
    },
}
"""How the levels of labels are made from the one that was segmented."""


@dataclass(frozen=True)
class LabelRecord:
    """What is known of labels that are to be written.

    Parameters
    ----------
    name : str
        Name of the label.
    info : ImageInfo
        The image that they belong to: they mirror its levels, without its channel axis.
    overwrite : bool
        Whether a label of that name may be replaced.
    spec : dict or None
        What was asked for, as `provenance` gives it; None for labels that no run has made.
    """

    name: str
    info: ImageInfo
    overwrite: bool = False
    spec: dict[str, Any] | None = None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The label axes."""
        return tuple(self.info.axes[i] for i in self.info.label_axes)

    @property
    def level_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of the labels on every level."""
        return tuple(self.info.label_values(level.shape) for level in self.info.levels)

    @classmethod
    def of_plan(cls, plan: Plan) -> LabelRecord:
        """Return the record of the labels that a run makes."""
        return cls(plan.spec.name, plan.info, plan.spec.overwrite, provenance(plan))


def ngff_part(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that hold the NGFF keys: those under ``ome`` since 0.5."""
    found = attributes.get("ome")
    return found if isinstance(found, dict) else attributes


def multiscale(
    name: str,
    axes: Sequence[Axis],
    levels: Iterable[tuple[str, tuple[float, ...], tuple[float, ...]]],
) -> dict[str, Any]:
    """Return an entry of ``multiscales``, without version.

    Parameters
    ----------
    name : str
        What viewers show.
    axes : sequence of Axis
        In array order.
    levels : iterable of (path, scale, translation)
        Full resolution first; world units. A translation of zeros is left out.
    """
    datasets = []
    for path, scale, translation in levels:
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": list(scale)}]
        if any(translation):
            transforms.append({"type": "translation", "translation": list(translation)})
        datasets.append({"path": path, "coordinateTransformations": transforms})
    described = [
        {"name": axis.name, "type": axis.kind, **({"unit": axis.unit} if axis.unit else {})} for axis in axes
    ]
    return {"name": name, "axes": described, "datasets": datasets}


def group_attributes(
    zarr_format: ZarrFormat,
    image: dict[str, Any],
    more: dict[str, Any] | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """Return the attributes of a group with one multiscale image, and `more` NGFF keys beside it.

    The version is the one that goes with the zarr format, unless another is given.
    """
    version = version or VERSIONS[zarr_format]
    if zarr_format == 2:
        return {"multiscales": [{"version": version, **image}], **(more or {})}
    worded = _in_systems(image) if version >= "0.6" else image
    return {"ome": {"version": version, "multiscales": [worded], **(more or {})}}


def _in_systems(image: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of ``multiscales`` in the words of 0.6: levels lead to a coordinate system."""
    datasets = []
    for dataset in image["datasets"]:
        steps = dataset["coordinateTransformations"]
        whole = steps[0] if len(steps) == 1 else {"type": "sequence", "transformations": steps}
        ends = {"input": {"path": dataset["path"]}, "output": {"name": _WORLD}}
        datasets.append({**dataset, "coordinateTransformations": [{**whole, **ends}]})
    systems = [{"name": _WORLD, "axes": image["axes"]}]
    rest = {key: value for key, value in image.items() if key != "axes"}
    return {**rest, "coordinateSystems": systems, "datasets": datasets}


def written_version(zarr_format: ZarrFormat, store: dict[str, Any]) -> str:
    """Return the version of labels in a store of these attributes: 0.6 in an image of 0.6 only."""
    ome = ngff_part(store)
    own = ome.get("version")
    newer = zarr_format == 3 and isinstance(own, str) and "multiscales" in ome and own >= "0.6"
    return str(own) if newer and WRITABLE.fullmatch(str(own)) else VERSIONS[zarr_format]


def label_attributes(
    record: LabelRecord,
    paths: Sequence[str],
    zarr_format: ZarrFormat,
    source: str | None,
    version: str | None = None,
) -> dict[str, Any]:
    """Return the attributes of a finished label group.

    Parameters
    ----------
    record : LabelRecord
        Says axes, scales and translations of every level, and what was asked for.
    paths : sequence of str
        The arrays, full resolution first.
    zarr_format : {2, 3}
        Format of the store.
    source : str or None
        Where the image lies, seen from the label group.
    version : str, optional
        Of NGFF; by default the one that goes with the zarr format.
    """
    info = record.info
    levels = [
        (path, info.label_values(level.scale), info.label_values(level.translation))
        for path, level in zip(paths, info.levels, strict=True)
    ]
    label: dict[str, Any] = {"version": version or VERSIONS[zarr_format]}
    if source:
        label["source"] = {"image": source}
    image = multiscale(record.name, record.axes, levels) | _SAMPLED
    attributes = group_attributes(zarr_format, image, {"image-label": label}, version)
    own = {"state": "complete", "version": __version__}
    return {**attributes, "seamlabel": own if record.spec is None else {**own, "spec": record.spec}}


def writing_attributes() -> dict[str, Any]:
    """Return the attributes of a label group that is not finished: no reader takes it for a label."""
    return {"seamlabel": {"state": "writing", "version": __version__}}


def listing(
    zarr_format: ZarrFormat,
    attributes: dict[str, Any],
    name: str | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """Return the attributes of a ``labels`` group with `name` entered, and all else kept."""
    ome = dict(ngff_part(attributes))
    old = ome.get("labels")
    names = list(old) if isinstance(old, list) else []
    ome["labels"] = names if name is None or name in names else [*names, name]
    if zarr_format == 2:
        return ome
    return {**attributes, "ome": {"version": version or VERSIONS[3], **ome}}


def provenance(plan: Plan) -> dict[str, Any]:
    """Return what was asked for as JSON gives it back; functions become ``module:name``.

    Labels are passed on: addresses lose user names, passwords and tokens.
    """
    spec: dict[str, Any] = json.loads(json.dumps((plan.asked or plan.spec).model_dump(), default=_name))
    cleaned: dict[str, Any] = _clean(spec)
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_clean(part) for part in value]
    return without_secrets(value) if isinstance(value, str) else value


def _name(value: Any) -> str:
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}:{value.__qualname__}"
    return str(value)
