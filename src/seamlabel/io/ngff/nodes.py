"""`Node`: a group or array of a store that may be wrong in any way, and `Findings` about it.

Reads documents wherever they lie, and no pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError, RemoteError
from seamlabel.io.ngff.arraydocs import Refused
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.opening import Folder, open_place
from seamlabel.io.ngff.places import image_place
from seamlabel.io.ngff.strict import is_inside

if TYPE_CHECKING:
    import os

    from seamlabel.io.ngff.opening import Place


@dataclass(frozen=True)
class Finding:
    """Something about a store that is not as it should be.

    Parameters
    ----------
    where : str
        Path inside the store; "" for the store itself.
    what : str
        What is wrong.
    mend : str
        How to mend it, in the imperative.
    wrong : bool
        Whether it breaks the rules; else it is advice.
    """

    where: str
    what: str
    mend: str
    wrong: bool = True

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.where}: {self.what}. {self.mend}" if self.where else f"{self.what}. {self.mend}"


@dataclass
class Findings:
    """All that was found.

    Parameters
    ----------
    deep : bool
        Whether every image of a plate or collection is looked at, or the first alone.
    """

    deep: bool = True
    found: list[Finding] = field(default_factory=list)

    def wrong(self, node: Node, what: str, mend: str) -> None:
        """Note what breaks the rules."""
        self.found.append(Finding(node.path, what, mend))

    def advice(self, node: Node, what: str, mend: str) -> None:
        """Note what is allowed, but does harm."""
        self.found.append(Finding(node.path, what, mend, wrong=False))

    def some(self, nodes: list[Node]) -> list[Node]:
        """Return those of many nodes that are to be looked at."""
        return nodes if self.deep else nodes[:1]


@dataclass(frozen=True)
class Node:
    """A group or array.

    Parameters
    ----------
    place : Folder, Zipped or Online
        The store.
    root : str
        Where that is, for people.
    path : str
        The node in it; "" for the store itself.
    """

    place: Place
    root: str
    path: str = ""

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Node:
        """Return the store at a path or address.

        Raises
        ------
        ImageError
            If there is no zarr group.
        """
        text = image_place(path)
        return cls(open_place(text)[0], text)

    @property
    def full(self) -> str:
        """Path or address of the node."""
        return f"{self.root.rstrip('/')}/{self.path}" if self.path else self.root

    @property
    def folder(self) -> Path | None:
        """The node's folder; None where it is in none."""
        return Path(self.root, self.path) if isinstance(self.place, Folder) else None

    def child(self, path: str) -> Node:
        """Return what lies in the group."""
        return Node(self.place, self.root, "/".join(filter(None, (self.path, path.strip("/")))))

    def document(self, name: str) -> dict[str, Any]:
        """Return one of the node's documents, empty if it has none.

        Raises
        ------
        ImageError
            If it cannot be read, or lies outside of the store.
        """
        try:
            self.place.check_node(self.path)
            return self.place.document(self.path, name) or {}
        except Refused as error:
            raise ImageError(f"{self.full}: {error}", error.hint) from None
        except OSError as error:
            if isinstance(error, NotADirectoryError):
                return {}
            msg = f"{self.full}/{name} cannot be read: {error.strerror or error}"
            raise ImageError(msg, "Check its permissions") from None

    @property
    def zarr_format(self) -> int | None:
        """2 or 3; None if there is no node."""
        if self.document("zarr.json"):
            return 3
        return 2 if self.document(".zgroup") or self.document(".zarray") else None

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return self.document("zarr.json").get("node_type") == "group" or bool(self.document(".zgroup"))

    @property
    def array(self) -> dict[str, Any]:
        """The document that describes the array; empty if it is none."""
        whole = self.document("zarr.json")
        return whole if whole.get("node_type") == "array" else self.document(".zarray")

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes; empty if there are none."""
        whole = self.document("zarr.json")
        found = whole.get("attributes") if whole else self.document(".zattrs")
        return found if isinstance(found, dict) else {}

    @property
    def ngff(self) -> dict[str, Any]:
        """NGFF keys of the attributes."""
        return ngff_part(self.attributes)

    @property
    def version(self) -> str:
        """NGFF version; the usual one of the zarr format where none is told."""
        ngff = self.ngff
        parts = [self.pyramid, ngff, *objects([ngff.get("plate"), ngff.get("well")])]
        told = next((part["version"] for part in parts if part.get("version")), None)
        return told if isinstance(told, str) else "0.5" if self.zarr_format == 3 else "0.4"

    @property
    def pyramid(self) -> dict[str, Any]:
        """The first of the ``multiscales``; empty if there is none."""
        return next(iter(objects(self.ngff.get("multiscales"))), {})

    def parts(self, listed: Any) -> list[Node]:
        """Return the nodes that the entries of a list name by ``path``, those that lie inside."""
        entries = listed if isinstance(listed, list) else []
        paths = [entry.get("path") if isinstance(entry, dict) else entry for entry in entries]
        return [self.child(str(path)) for path in paths if is_inside(path)]


def objects(listed: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; none if it is no list."""
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def is_image(node: Node) -> bool:
    """Return whether it is a group with ``multiscales``; what cannot be read is none.

    Raises
    ------
    RemoteError
        If a server does not answer.
    """
    try:
        return bool(node.ngff.get("multiscales"))
    except RemoteError:
        raise
    except ImageError:
        return False
