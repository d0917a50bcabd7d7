"""`Online`: a store at an address, looked at as folders and zip files are before zarr-python opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError, RemoteError
from seamlabel.io.guarded import most_encoded
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.strict import is_inside, parse_document
from seamlabel.io.regular import Irregular
from seamlabel.io.remote import DOCUMENTS, RemoteStore
from seamlabel.io.remote_access import ALLOW

if TYPE_CHECKING:
    from seamlabel.io.ngff.arraydocs import ArrayShape


class Online:
    """A store at an address.

    Parameters
    ----------
    address : str
        As `clean_address` gives it.

    Raises
    ------
    ImageError
        If there is no zarr, or the server does not answer.
    """

    inside = ""

    def __init__(self, address: str) -> None:
        self._address = address
        self._store = RemoteStore(address)
        found = {name: self.document("", name) for name in DOCUMENTS}
        if found[".zarray"] is not None or (found["zarr.json"] or {}).get("node_type") == "array":
            msg = f"{address} is a single zarr array, one level of an image"
            raise ImageError(msg, f"Give the group above it: {address.rpartition('/')[0]}")
        if all(document is None for document in found.values()):
            if self._store.hides:
                scheme = address.partition(":")[0]
                raise RemoteError(f"{address} cannot be read: not allowed (403), or not there", ALLOW[scheme])
            msg = f"{address} is not a zarr group: there is neither zarr.json nor .zgroup (404)"
            raise ImageError(msg, "Check the address: give that of the image, not of a page about it")

    def store(self) -> RemoteStore:
        """Return the store for zarr-python."""
        return self._store

    def document(self, node: str, name: str) -> dict[str, Any] | None:
        """Return a document of a node, None if it has none.

        Raises
        ------
        ImageError
            If something is there that is no such document.
        """
        place = "/".join(filter(None, (self._address, node.strip("/"), name)))
        try:
            data = self._store.documents(node)[name]
        except Irregular as error:
            raise ImageError(f"{place} cannot be read: {error}", "Check the address") from None
        return None if data is None else parse_document(data, place)

    def check_node(self, node: str) -> None:
        """Nothing to say: no address of a node leads elsewhere."""

    def check_chunks(self, found: ArrayShape) -> None:
        """Have chunks refused that are longer than they can be."""
        self._store.longest = max(self._store.longest, most_encoded(found.chunk_bytes))

    def groups(self) -> list[str]:
        """Return nothing: folders at an address are not listed."""
        return []

    def nested(self, node: str) -> bool:
        """Return False: there is no looking for the names that chunks have."""
        return False

    def labels(self) -> tuple[str, ...]:
        """Return the labels that the store lists; there is no looking for others.

        Raises
        ------
        ImageError
            If the list cannot be read, or names what is not inside.
        """
        attributes = (self.document("labels", "zarr.json") or {}).get("attributes")
        if attributes is None:
            attributes = self.document("labels", ".zattrs")
        listed = ngff_part(attributes if isinstance(attributes, dict) else {}).get("labels")
        names = listed if isinstance(listed, list) else []
        for name in names:
            if not is_inside(name):
                msg = f"{self._address}/labels lists the label {name!r:.100}, which is not a path inside it"
                raise ImageError(msg, "Correct the list in its metadata")
        return tuple(names)
