"""`Previewer`: shows in the labels layer what is wished of a merge, before it is written.

Ids are looked up in a table when pixels are read, so another wish is one array swapped and a refresh.
Knows the layer and `ResultControl`; the merge itself is done by `PreviewThread`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from seamlabel.napari.layers.lazy_labels import with_axis
from seamlabel.napari.layers.live import Live, redraw
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.result.preview_thread import Job, PreviewThread

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Labels
    from numpy.typing import NDArray

    from seamlabel.engine.review import Preview, Review
    from seamlabel.errors import Problem
    from seamlabel.napari.layers.lazy_labels import LabelStream, LazyArray
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.shown import Wish

SUFFIX = " (preview)"


class Previewer(QObject):
    """Follows the wish of a `ResultControl`.

    Parameters
    ----------
    control : ResultControl
        Says which run is shown, and what is wished.

    Attributes
    ----------
    preview : Preview or None
        What the wish comes to; None until it is known, and where nothing else is wished.
    problem : str
        Why the wish cannot be carried out.
    n_written : int
        Objects that are written; right once `preview` is there.
    """

    changed = Signal()
    """`preview` or `problem` is another one, or it is being worked on."""

    def __init__(self, control: ResultControl) -> None:
        super().__init__()
        self._control = control
        self.preview: Preview | None = None
        self.problem, self.n_written = "", 0
        self._wish: Wish | None = None
        self._layer = _ShownLayer()
        self._thread = PreviewThread(control.review)
        self._thread.counted.connect(self._counted)
        self._thread.colored.connect(self._colored)
        self._thread.failed.connect(self._failed)
        control.opened.connect(self._opened)
        control.wished.connect(self._wished)

    @property
    def working(self) -> bool:
        """Whether the preview of the present wish is still to come."""
        return self._wish is not None

    @property
    def showing(self) -> bool:
        """Whether the layer shows something that is not written."""
        return self._layer.active

    @property
    def review(self) -> Review | None:
        """The run, opened; None until something else than what is written was wished."""
        return self._thread.review

    def close(self) -> None:
        """End the thread; the widgets may be gone."""
        self._thread.close()

    def _opened(self) -> None:
        self._layer.put_back()
        self._thread.forget(run=True)

    def _wished(self) -> None:
        control = self._control
        self.problem = ""
        if not control.differs:
            control.refuse(())
        if not control.differs or not control.shown.run_dir:
            self._wish = self.preview = None
            self._thread.forget()
            self._layer.put_back()
        else:
            shown, self._wish = control.shown, control.wish
            streamed = control.canvas.ended_stream
            self._thread.ask(Job(shown.run_dir, control.wish, shown.written, shown.n_objects, streamed))
        self.changed.emit()

    def _counted(self, wish: Wish, preview: Preview, written: int) -> None:
        if self._wish is None:  # what is written is wished again
            return
        self.preview, self.n_written = preview, written
        if wish == self._wish:
            self.problem = ""
            self._control.refuse(())
        self.changed.emit()

    def _colored(self, wish: Wish, stream: LabelStream, table: NDArray[np.uint32]) -> None:
        if self._wish is None and not self._control.differs:
            return
        self._layer.show(self._control.layer, stream, table)
        if wish == self._wish:
            self._wish = None
        self.changed.emit()

    def _failed(self, wish: Wish, why: str, problems: tuple[Problem, ...]) -> None:
        if wish != self._wish:
            return
        self._wish = self.preview = None
        edits = set(map(str, wish.edits))
        if problems and all(problem.field in edits for problem in problems):
            why = "Edits cannot be carried out together: see below"  # their list says why
        self.problem = why[:1].upper() + why[1:]
        self._control.refuse(problems)
        self._layer.put_back()
        self.changed.emit()


class _ShownLayer:
    """A layer that shows a stream in place of what is written."""

    def __init__(self) -> None:
        self._layer: Labels | None = None
        self._stream: LabelStream | None = None
        self._live: Live | None = None
        self._written: tuple[Any, str] = (None, "")

    @property
    def active(self) -> bool:
        """Whether the layer shows the stream, and nobody has given it other data since."""
        if self._layer is None or self._live is None:
            return False
        return _first(self._layer.data) is _first(self._live.data)

    def show(self, layer: Labels | None, stream: LabelStream, table: NDArray[np.uint32]) -> None:
        """Show these ids."""
        stream.shown = table
        if layer is None:
            return
        if self.active and layer is self._layer and stream is self._stream:
            self._live.update()
            redraw(layer)
            return
        self.put_back()
        self._layer, self._stream = layer, stream
        self._written = (layer.data, layer.name)
        self._live = Live(_fitted(stream.levels, layer))
        layer.data = self._live.data
        layer.name = f"{layer.name}{SUFFIX}"
        layer.editable = False
        layer.refresh()

    def put_back(self) -> None:
        """Show what is written."""
        if self.active:
            layer, (data, name) = self._layer, self._written
            layer.data = data
            layer.editable = False
            if layer.name.endswith(SUFFIX):
                layer.name = name
            layer.refresh()
        self._layer = self._stream = self._live = None
        self._written = (None, "")


def _first(data: Any) -> Any:
    """Return the finest level, whatever napari keeps it in."""
    return data[0] if isinstance(data, Sequence) else data


def _fitted(levels: list[LazyArray], layer: Labels) -> list[LazyArray]:
    """Return levels with the axes that a layer has: labels may be repeated along channels."""
    shape = tuple(map(int, layer.level_shapes[0] if layer.multiscale else layer.data.shape))
    if len(shape) == levels[0].ndim:
        return levels
    fits = [i for i in range(len(shape)) if shape[:i] + shape[i + 1 :] == levels[0].shape]
    axis = layer.metadata.get(OWN, {}).get("channel_axis", fits[0])
    return [with_axis(level, axis, shape[axis]) for level in levels]
