"""What a label cannot be called on every system and in every store."""

from __future__ import annotations

_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{port}{n}" for port in ("COM", "LPT") for n in range(10)}
"""What Windows takes for devices, whatever follows after a dot."""


def checked_name(value: str) -> str:
    """Return a name that is allowed.

    Raises
    ------
    ValueError
        If a store or Windows takes it for something else.
    """
    if value in {"zarr.json", "labels.json"}:
        msg = "taken by the store itself"
        raise ValueError(msg)
    if value.endswith(".") or value.partition(".")[0].upper() in _RESERVED:
        msg = "no folder can have that name on Windows"
        raise ValueError(msg)
    return value
