"""`ImageChoice`: which image a dock works on. Layers of the viewer, paths and samples become choices.

Between a viewer and the image section of a form; knows nothing of plans and runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from seamlabel.errors import Problem, SeamlabelError
from seamlabel.napari.layers.open_image import open_into
from seamlabel.napari.layers.pictures import OWN, Picture, describe
from seamlabel.napari.sample_data import is_made, sample_path
from seamlabel.napari.sample_maker import SampleMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from seamlabel.napari.form.image_form import ImageForm


class ImageChoice:
    """Keeps the image section of a form up to date with a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    form : ImageForm
        The section.
    busy : callable
        Whether a run is under way, which keeps its image.
    after : callable
        Called after layers came, went, moved or were named.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        form: ImageForm,
        busy: Callable[[], bool],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._viewer, self._form, self._busy, self._after = viewer, form, busy, after
        self._closed = False
        self._maker = SampleMaker(sample_path, form)
        self._maker.made.connect(self._sample_made)
        self._maker.failed.connect(self._sample_failed)
        form.open_requested.connect(self.open)
        form.sample_requested.connect(self.open_sample)
        events = viewer.layers.events
        self._emitters = (events.inserted, events.removed, events.reordered, events.renamed)
        for emitter in self._emitters:
            emitter.connect(self.look)

    def close(self) -> None:
        """Let go of the viewer; safe to call after the widgets are gone."""
        self._closed = True
        for emitter in self._emitters:
            emitter.disconnect(self.look)

    def images(self) -> list[Image]:
        """Return the image layers there are to choose from."""
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        return [layer for layer in images if not layer.metadata.get(OWN, {}).get("measurement")]

    def look(self, _event: Any = None) -> None:
        """Offer the layers there are now; of those the chosen one stays, else the active one is taken."""
        images = self.images()
        chosen = self._form.layer()
        if chosen not in images:
            active = self._viewer.layers.selection.active
            chosen = active if active in images else (images[-1] if images else None)
        self._form.set_layers(images, chosen)
        self._form.set_masks([layer for layer in self._viewer.layers if isinstance(layer, Labels)])
        self._form.empty.tell(any(isinstance(layer, Labels) for layer in self._viewer.layers))
        self._after()

    def choose(self, layer: Any) -> None:
        """Choose an image layer; anything else leaves the choice as it is."""
        images = self.images()
        own = next((image for image in images if image == layer), None)  # napari may hand over a proxy
        if own is not None and not self._busy():
            self._form.set_layers(images, own)

    def open(self, path: str) -> None:
        """Open an OME-Zarr as layers, unless it is open, and choose it; "" takes a wrong path back."""
        try:
            layer = open_into(self._viewer, path) if path else None
        except (SeamlabelError, OSError) as error:
            self._form.refuse(Problem("path", str(error), getattr(error, "hint", "")))
            return
        self._form.refuse(None)
        if layer is not None:
            self._form.set_layers(self.images(), layer)

    def picture(self) -> Picture:
        """Return what the chosen layer is, which there must be.

        Raises
        ------
        ImageError
            If its axes are not those that were given.
        """
        return describe(self._form.layer(), "".join(self._form.axes.text().split()).lower())

    def open_sample(self, name: str) -> None:
        """Open a sample image, written first if need be."""
        self._form.empty.wait(not is_made(name))
        self._maker.start(name)

    def _sample_made(self, path: str) -> None:
        if not self._closed:
            self._form.empty.wait(False)
            self.open(path)

    def _sample_failed(self, error: Exception) -> None:
        if not self._closed:
            self._form.empty.wait(False)
            fix = getattr(error, "hint", "") or "Choose another folder of samples in Preferences"
            self._form.refuse(Problem("path", f"The sample cannot be written: {error}", fix))
