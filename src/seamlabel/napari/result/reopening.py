"""`Reopener`: shows in the result panel the run whose labels are selected, of this session or kept.

Knows layers and run directories; nothing of how results are mended.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels

from seamlabel.errors import SeamlabelError
from seamlabel.io.journal import kept_runs
from seamlabel.napari.layers.pictures import OWN
from seamlabel.napari.result.shown import kept_run, states_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from seamlabel.napari.form.form import Form
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.shown import Shown, Wish
    from seamlabel.napari.tiles.grid_control import GridControl


class Reopener:
    """Follows the selection of layers in one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : Form
        Says which image is chosen.
    grid : GridControl
        Draws tiles.
    results : ResultControl
        Is told which run to show.
    choose_image : callable
        Called with a run whose image is to be chosen in the form; returns whether it is open.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        form: Form,
        grid: GridControl,
        results: ResultControl,
        choose_image: Callable[[Shown], bool],
    ) -> None:
        self._viewer, self._form, self._grid, self._results = viewer, form, grid, results
        self._choose_image = choose_image
        self._known: dict[str, tuple[Shown, Wish]] = {}
        viewer.layers.selection.events.active.connect(self._selected)
        results.wished.connect(self._remember)
        results.on_close.append(self._close)

    def _close(self) -> None:
        self._viewer.layers.selection.events.active.disconnect(self._selected)

    def _remember(self) -> None:
        """Keep what is wished of every run, for when its labels are selected again."""
        shown = self._results.shown
        if shown is not None and shown.path:
            self._known[shown.path] = shown, self._results.wish

    def _selected(self, _event: Any = None) -> None:
        """Show the run of the labels that are selected now, if there is one."""
        layer = self._viewer.layers.selection.active
        if not isinstance(layer, Labels) or self._results.run.active:
            return
        path = layer.metadata.get(OWN, {}).get("path")
        now = self._results.shown
        if not path or (now is not None and now.path == path and now.layer is layer):
            return
        found, wish = self._known.get(path, (None, None))
        if found is None or found.layer is not layer:
            found, wish = _kept(str(path), layer), None
        if found is None:
            return
        self._results.open(found)
        if wish is not None:
            self._results.want(wish)
        self._draw_tiles(found)

    def _draw_tiles(self, shown: Shown) -> None:
        """Draw the tiles of a run as they ended, if its image is there."""
        if not self._choose_image(shown) or not shown.run_dir:
            return
        image = self._form.image
        self._grid.place(shown.plan, image.picture, image.level_index())
        with suppress(SeamlabelError):
            self._results.canvas.set_states(states_of(shown.run_dir, shown.plan))
        self._grid.refresh()
        self._results.canvas.refresh()
        self._grid.stay()


def _kept(path: str, layer: Labels) -> Shown | None:
    """Return the run that made the labels at IMAGE/labels/NAME, if it was kept."""
    place = Path(path)
    if place.parent.name != "labels" or "://" in path:
        return None
    store = place.parent.parent
    run_dir = Path(f"{os.path.realpath(store)}.seamlabel") / place.name
    try:
        return kept_run(run_dir, path, layer) if run_dir in kept_runs(store) else None
    except (SeamlabelError, OSError):  # it is no run that can be looked at
        return None
