"""What a commit does around the label group: who may be replaced, lists, consolidated metadata.

Callers hold the locks. Knows no arrays' contents.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seamlabel.errors import OutputError
from seamlabel.io.addresses import is_remote
from seamlabel.io.ngff.documents import group_format, nodes, read_attributes, reconsolidate, write_attributes
from seamlabel.io.ngff.metadata import listing, ngff_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seamlabel.axes import ImageInfo
    from seamlabel.io.ngff.documents import ZarrFormat
    from seamlabel.io.ngff.metadata import LabelRecord


@contextmanager
def explained(group: Path, what: str = "labels cannot be written into") -> Iterator[None]:
    """Turn the system's errors into one that names the label and says what to do."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Free some space on that disk" if full else "Check permissions and free disk space"
        msg = f"{what} {group}: {error}"
        raise OutputError(msg, f"{hint}, or give another output") from error


def refuse_taken(record: LabelRecord, group: Path) -> None:
    """Refuse to replace a label that is not this run's own, unless that was asked for.

    Raises
    ------
    OutputError
        If there is such a label in the group.
    """
    attributes = read_attributes(group)
    whole = "multiscales" in ngff_part(attributes)
    own = attributes.get("seamlabel") or {}
    # A run that was killed within its commit finds its own label, whole but perhaps not listed.
    same = record.spec is not None and isinstance(own, dict) and own.get("spec") == record.spec
    if whole and not same and not record.overwrite:
        msg = f"{group} exists"
        raise OutputError(msg, "Give another name, or overwrite=True (--overwrite) to replace it")


def arrays_shown(group: Path) -> set[str]:
    """Return the arrays that a label group's metadata name, as far as they lie in the group."""
    named = {
        str(dataset.get("path"))
        for image in ngff_part(read_attributes(group)).get("multiscales") or ()
        for dataset in image.get("datasets") or ()
    }
    return named & {path.name for path in group.iterdir()}


def enter(group: Path, zarr_format: ZarrFormat, consolidated: list[Path], hidden: set[str]) -> None:
    """List a label, and bring consolidated metadata up to date with all of it but `hidden` arrays."""
    labels = group.parent
    old = read_attributes(labels)
    new = listing(zarr_format, old, group.name)
    if new != old:
        write_attributes(labels, new)
    changed = [labels, *nodes(group, frozenset(group / name for name in hidden))]
    for above in consolidated:
        reconsolidate(above, changed, group)


def image_source(info: ImageInfo, store: Path) -> str | None:
    """Return where the image lies, seen from the label group; None for arrays.

    Absolute from a store of its own, so that it stays right when ``labels`` is copied elsewhere,
    even into the image.
    """
    if info.path is None:
        return None
    if is_remote(info.path):
        return info.path
    image = Path(info.path).resolve()
    return "../../" if image == store.resolve() else image.as_posix()


def format_of(info: ImageInfo, store: Path) -> ZarrFormat:
    """Return the zarr format to write: that of the store, else of the image, else 3."""
    found = group_format(store)
    if found is not None:
        return found
    return 2 if info.ngff_version in ("0.1", "0.2", "0.3", "0.4") else 3
