"""What tells a run's image and method: digests of their descriptions, pixels and code. Knows no tiles."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import TYPE_CHECKING

from seamlabel.codes import code_digest
from seamlabel.functions import load_function
from seamlabel.io.fingerprint import array_digest, content_digest, fingerprint

if TYPE_CHECKING:
    from seamlabel.io.masks import Mask
    from seamlabel.io.sources import Source
    from seamlabel.plan import Plan
    from seamlabel.protocols import Segmenter


def identity(plan: Plan, source: Source, segmenter: Segmenter | None, mask: Mask | None) -> dict[str, str]:
    """Return what tells the image and the method of a run.

    Parameters
    ----------
    plan : Plan
        Of the run.
    source : Source
        Its image.
    segmenter : callable, optional
        Used instead of the plan's backend.
    mask : Mask, optional
        What is skipped by.
    """
    found = fingerprint(source)
    if segmenter is not None:
        found["method"] = code_digest(segmenter)
    elif plan.backend.own is not None:
        found["method"] = code_digest(plan.backend.own)
    elif target := getattr(plan.params, "target", None):
        found["method"] = code_digest(load_function(target, purpose="takes pixels and returns labels"))
    if files := getattr(plan.params, "files", ()):
        found["model"] = " ".join(map(content_digest, files))
    found["packages"] = ", ".join(f"{name} {_version(name)}" for name in plan.backend.needs)
    if mask is not None:
        found["mask"] = array_digest(mask.source.sample(0))
    return found


def _version(module: str) -> str:
    names = packages_distributions().get(module, [module])
    try:
        return version(names[0])
    except PackageNotFoundError:
        return "unknown"
