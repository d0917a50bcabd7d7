"""A user's own function as backend: found by name in a module or a file.

Knows nothing of what the function does; the engine checks the labels it returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from seamlabel.functions import is_target, load_function
from seamlabel.signatures import CONTEXT, checked_keywords, wants_context

if TYPE_CHECKING:
    from seamlabel.protocols import SegmentContext, Segmenter

PURPOSE = "takes pixels and returns labels"
"""What such a function is for."""


@dataclass(frozen=True)
class FunctionParams:
    """Parameters of the function backend.

    Parameters
    ----------
    target : str
        ``"module:function"``, or ``"file.py:function"`` with a path that is absolute or relative
        to the working directory. The function is called with pixels and returns labels.
    keywords : dict
        Further arguments for the function, by name: its typed keyword parameters, see
        `seamlabel.signatures.keywords_of`.

    Raises
    ------
    ValueError
        If `target` does not have one of the two forms.
    """

    target: Annotated[
        str,
        {"label": "Function", "tooltip": "file.py:function or module:function, taking pixels, giving labels"},
    ]
    keywords: Annotated[
        dict[str, Any],
        {"label": "Arguments", "tooltip": "Further arguments, by name", "in_form": False},
    ] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the form of `target`; whether it exists is looked up when it is made."""
        if not is_target(self.target):
            msg = f"target {self.target!r} is neither 'module:function' nor 'file.py:function'"
            raise ValueError(msg)


def make(params: FunctionParams, context: SegmentContext) -> Segmenter:
    """Return the function, with its keywords filled in, and the context if it asks for that.

    Raises
    ------
    BackendError
        If the file, the module or the function is missing, cannot be loaded or cannot be called.
    SpecError
        If the function does not take these keywords, or needs others.
    """
    found = load_function(params.target, purpose=PURPOSE)
    keywords = checked_keywords(found, params.keywords)
    if wants_context(found):
        keywords[CONTEXT] = context
    return partial(found, **keywords) if keywords else found
