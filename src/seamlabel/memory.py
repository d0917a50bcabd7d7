"""How much memory this process may use, in bytes; knows nothing of what it is used for."""

from __future__ import annotations

from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")


def available(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the bytes that this process may still allocate.

    The least of the machine's free memory and what is left in the control groups (version 1 and
    2, every ancestor) that this process runs in.
    """
    least = int(psutil.virtual_memory().available)
    for folder in _groups(cgroups, own):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            top, now = _number(folder / limit), _number(folder / used)
            if top is not None and now is not None:
                least = min(least, max(0, top - now))
    return least


def _groups(cgroups: Path, own: Path) -> list[Path]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = cgroups / "memory" if controllers else cgroups
        group = root / path.lstrip("/")
        while group != root and root in group.parents:
            folders.append(group)
            group = group.parent
        folders.append(root)
    return folders


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
