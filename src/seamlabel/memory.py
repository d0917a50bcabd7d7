"""How much memory, and how many processors, this process may use; knows nothing of what for."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_UNITS = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
"""What SLURM's sizes count in; without a letter they are megabytes (sbatch, ``--mem``)."""


def available(cgroups: Path = _CGROUPS, own: Path = _OWN, environ: Mapping[str, str] | None = None) -> int:
    """Return the bytes that this process may still allocate.

    The least of the machine's free memory; what is left in the control groups (version 1 and 2, every
    ancestor) that this process runs in; what SLURM gave the job on this machine, and what the
    process's own limits (``ulimit -v``, ``ulimit -d``) allow, less what it uses.

    Parameters
    ----------
    cgroups, own : Path
        Where the system tells of control groups.
    environ : mapping of str to str, optional
        The environment; that of this process by default.
    """
    least = int(psutil.virtual_memory().available)
    for folder in _groups(cgroups, own, "memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            top, now = _number(folder / limit), _number(folder / used)
            if top is not None and now is not None:
                least = min(least, top - now)
    used_here = psutil.Process().memory_info()
    given = slurm_bytes(os.environ if environ is None else environ)
    if given is not None:
        least = min(least, given - used_here.rss)
    for top, now in _own_limits(used_here):
        least = min(least, top - now)
    return max(0, least)


def slurm_bytes(environ: Mapping[str, str]) -> int | None:
    """Return the memory that SLURM gave a job on one machine; None outside of jobs and for all of it.

    Parameters
    ----------
    environ : mapping of str to str
        ``SLURM_MEM_PER_NODE``, or ``SLURM_MEM_PER_CPU`` and ``SLURM_CPUS_ON_NODE``; megabytes, or with
        a letter K, M, G or T. 0 means all of the machine.
    """
    found = _slurm_size(environ.get("SLURM_MEM_PER_NODE", ""))
    if found is None:
        each = _slurm_size(environ.get("SLURM_MEM_PER_CPU", ""))
        cpus = _count(environ.get("SLURM_CPUS_ON_NODE", ""))
        found = each * cpus if each and cpus else None
    return found or None


def cores(cgroups: Path = _CGROUPS, own: Path = _OWN, environ: Mapping[str, str] | None = None) -> int:
    """Return how many processors this process may use, at least 1.

    The least of those that it may run on; the quotas of the control groups (version 1 and 2, every
    ancestor) that it runs in, rounded up; and ``SLURM_CPUS_PER_TASK``, else ``SLURM_CPUS_ON_NODE``.

    Parameters
    ----------
    cgroups, own : Path
        Where the system tells of control groups.
    environ : mapping of str to str, optional
        The environment; that of this process by default.
    """
    least = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _groups(cgroups, own, "cpu"):
        quota = _quota(folder)
        if quota is not None:
            least = min(least, math.ceil(quota))
    variables = os.environ if environ is None else environ
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        given = _count(variables.get(name, ""))
        if given:
            least = min(least, given)
            break
    return max(1, least)


def _quota(folder: Path) -> float | None:
    """Return the processors that a control group may use; None where all."""
    try:
        quota, _, period = (folder / "cpu.max").read_text().partition(" ")
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        pass
    limit, per = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return limit / per if limit and limit > 0 and per else None


def _own_limits(used: object) -> Iterator[tuple[int, int]]:
    """Yield this process's own limits and what counts against each, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, field in (("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")):
        top = resource.getrlimit(getattr(resource, name))[0] if hasattr(resource, name) else -1
        now = getattr(used, field, None)  # macOS tells no size of the data
        if top not in (-1, resource.RLIM_INFINITY) and now is not None:
            yield top, now


def _slurm_size(text: str) -> int | None:
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    return int(number) * _UNITS[unit] if number.isdecimal() and unit in _UNITS else None


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _groups(cgroups: Path, own: Path, controller: str) -> list[Path]:
    """Return the folders of the control groups of a controller, from the process's own upwards."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        named = controllers.split(",")
        if controllers and controller not in named:
            continue
        for root in [cgroups / name for name in (controller, controllers)] if controllers else [cgroups]:
            group = root / path.lstrip("/")
            while group != root and root in group.parents:
                folders.append(group)
                group = group.parent
            folders.append(root)
    return list(dict.fromkeys(folders))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
