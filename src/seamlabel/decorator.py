"""`backend`: makes a backend of a function or a class of the user's own, with its keywords as parameters.

Knows signatures and the registry; nothing of images.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from seamlabel.errors import BackendError
from seamlabel.registry import Backend, register
from seamlabel.signatures import CONTEXT, keywords_of, name_of, wants_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamlabel.protocols import SegmentContext, Segmenter

Made = TypeVar("Made", bound="Callable[..., Any]")
_TAKEN = ("radius", "align", "files", "n_channels")
"""Attributes of parameters that the engine looks at; as a name of something else they would mislead it."""


@dataclass(frozen=True)
class Factory:
    """Makes segmenters of a function or a class of the user's own.

    Parameters
    ----------
    own : callable
        The function, called with a tile and keywords; or the class, made with keywords and called with
        a tile.
    """

    own: Callable[..., Any]

    def __call__(self, params: Any, context: SegmentContext) -> Segmenter:
        """Return a segmenter with these parameters."""
        keywords = {item.name: getattr(params, item.name) for item in fields(params)}
        if wants_context(self.own):
            keywords[CONTEXT] = context
        if isinstance(self.own, type):
            made: Segmenter = self.own(**keywords)
            return made
        return partial(self.own, **keywords)


def backend(
    name: str,
    *,
    title: str = "",
    radius: float | Callable[[Any], float] | None = None,
    diameter: float | Callable[[Any], float] | None = None,
    align: int | tuple[int, ...] = 1,
    **record: Any,
) -> Callable[[Made], Made]:
    """Register a function, or a class, of one's own as a backend; it stays what it is.

    Its typed keyword parameters are those of the backend: fields in the dock, ``--set`` on the command
    line. A function is called with a tile and returns labels; of a class one object is made per thread
    of a worker, with the parameters, and that is called with tiles. Either may ask for what is known of
    the whole image by a keyword-only parameter `context`, a `seamlabel.protocols.SegmentContext`.

    For others, name the function in the entry point group ``seamlabel.backends`` of your package.

    Parameters
    ----------
    name : str
        Key in the registry, command line and run files.
    title : str
        What people read; the name if not given.
    radius : float or callable, optional
        Voxels beyond which a cut cannot change the labels, or how to tell that from the parameters:
        ``lambda p: 4 * p.sigma``. The overlap "auto" follows it.
    diameter : float or callable, optional
        Of a typical object in voxels; for the overlap "auto" where no radius is known. A parameter of
        this name does it, too.
    align : int or tuple of int
        Voxels per space axis that tiles are read from multiples of, as a network that pools needs.
    **record
        More of `seamlabel.Backend`, such as `needs`, `install`, `max_channels`, `description`.

    Raises
    ------
    BackendError
        If a parameter has a name that means something else to the engine.
    """

    def decorate(own: Made) -> Made:
        attributes: dict[str, Any] = {"align": align} if align != 1 else {}
        attributes |= {
            key: property(_told(value))
            for key, value in (("radius", radius), ("diameter", diameter))
            if value is not None
        }
        params = keywords_of(own, **attributes)
        _refuse_taken(own, {item.name for item in fields(params)} & {*_TAKEN, *attributes})
        params.__module__, params.__qualname__ = own.__module__, f"{own.__qualname__}.Params"
        about = (own.__doc__ or "").strip().partition("\n")[0]
        told = {"max_channels": None, "description": about, **record}
        made: Any = own
        made.Params = params  # pickle looks for it there
        made.backend = register(Backend(name, title or name, params, Factory(own), **told))
        return own

    return decorate


def _told(value: Any) -> Callable[[Any], Any]:
    return value if callable(value) else lambda _params: value


def _refuse_taken(own: Callable[..., Any], taken: set[str]) -> None:
    if taken:
        names = ", ".join(sorted(taken))
        msg = f"'{name_of(own)}' has a parameter {names}, which means something else to the engine"
        raise BackendError(msg, f"Call it otherwise, such as own_{sorted(taken)[0]}")
