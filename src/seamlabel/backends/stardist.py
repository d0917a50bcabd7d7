"""Star-convex objects, such as nuclei, from a trained StarDist network; 2D or 3D as the model is.

The method: Schmidt et al., "Cell Detection with Star-convex Polygons", MICCAI 2018, and Weigert et al.,
"Star-convex Polyhedra for 3D Object Detection and Segmentation in Microscopy", WACV 2020. Pixels are
normalised by percentiles of the whole image. Knows nothing of tiles; imports StarDist when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from seamlabel.backends.normalising import joint_percentiles
from seamlabel.backends.stardist_loading import TURN, load_model, on_device
from seamlabel.backends.stardist_models import (
    PUBLISHED,
    expected,
    find_folder,
    is_published,
    model_files,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, SegmentContext, Statistics

_TINY = 1e-20
"""As StarDist's own normalisation: an image of one value is no division by zero."""

_PERCENT = {"min": 0.0, "max": 100.0, "unit": "%"}


@dataclass(frozen=True)
class StarDistParams:
    """Parameters of the StarDist backend.

    Parameters
    ----------
    model : str
        Name of a published model (``"2D_versatile_fluo"``, ``"2D_versatile_he"``, ``"2D_paper_dsb2018"``,
        ``"2D_demo"``, ``"3D_demo"``), or the folder of a model that StarDist has trained.
    prob_threshold : float or None
        Least probability of an object's centre; None: the model's own.
    nms_threshold : float or None
        Two objects that overlap by more than this part are one; None: the model's own.
    low_percentile, high_percentile : float
        These percentiles of the whole image become 0 and 1, as in the model's training.
    joint_channels : bool
        Percentiles are taken over all channels together, as for colour images; else of each.
    diameter : float or None
        Of the largest objects, in voxels; decides on `radius` alone. None: half of what the network sees
        to one side, which is enough for nuclei.
    device : {"auto", "cpu", "gpu"}
        Where the network runs; ``"auto"``: on a GPU if TensorFlow finds one.
    download : bool
        A published model that is not here may be fetched from the internet, once.

    Raises
    ------
    ValueError
        If `low_percentile` is not below `high_percentile`, or `model` is empty.
    """

    model: Annotated[
        str,
        {
            "path": "folder",
            "label": "Model",
            "tooltip": f"Folder of a trained model, or a name: {', '.join(PUBLISHED)}",
        },
    ] = "2D_versatile_fluo"
    prob_threshold: Annotated[
        float | None,
        {
            "label": "Probability",
            "tooltip": "Least probability of an object's centre; auto: as the model was tuned",
            "min": 0.01,
            "max": 1.0,
            "step": 0.05,
            "unit": "",
        },
    ] = None
    nms_threshold: Annotated[
        float | None,
        {
            "label": "Overlap of objects",
            "tooltip": "Objects that overlap by a larger part are one; auto: as the model was tuned",
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "unit": "",
        },
    ] = None
    low_percentile: Annotated[
        float,
        {
            "advanced": True,
            "label": "Dark percentile",
            "tooltip": "This percentile of the whole image becomes 0",
            **_PERCENT,
        },
    ] = 1.0
    high_percentile: Annotated[
        float,
        {
            "advanced": True,
            "label": "Bright percentile",
            "tooltip": "This percentile of the whole image becomes 1",
            **_PERCENT,
        },
    ] = 99.8
    joint_channels: Annotated[
        bool,
        {
            "advanced": True,
            "label": "Channels as one",
            "tooltip": "One pair of percentiles for all of them, as for colour images",
        },
    ] = False
    diameter: Annotated[
        float | None,
        {
            "label": "Diameter",
            "tooltip": "Of the largest objects; only decides how far tiles overlap. Auto: as for nuclei",
            "min": 2.0,
            "max": 1000.0,
            "unit": "voxels",
        },
    ] = None
    device: Annotated[
        Literal["auto", "cpu", "gpu"],
        {
            "advanced": True,
            "label": "Device",
            "tooltip": "Where the network runs; auto: on a GPU if there is one",
        },
    ] = "auto"
    download: Annotated[
        bool,
        {"label": "Download", "tooltip": "Fetch a published model from the internet if it is not here"},
    ] = False

    def __post_init__(self) -> None:
        """Check what no single range can say."""
        if not self.low_percentile < self.high_percentile:
            msg = f"low_percentile {self.low_percentile} is not below high_percentile {self.high_percentile}"
            raise ValueError(msg)
        if not self.model.strip():
            msg = "model is empty: give a name or a folder"
            raise ValueError(msg)

    @property
    def align(self) -> int | tuple[int, ...]:
        """Voxels (per axis, in 3D) from multiples of which tiles are read: the network's divisor."""
        divisor = expected(self.model).divisor
        return divisor if len(divisor) == 3 else int(np.lcm.reduce(divisor))

    @property
    def radius(self) -> int:
        """Voxels beyond which a cut does not change the labels.

        What the network sees around an object's centre, and half of an object. Measured on nuclei
        (diameters up to 39) and on dense cells of 32 and 64: with a network that sees 51 pixels cuts
        changed labels up to 43, 61 and 74 pixels away; nuclei, with one that sees 107, up to 81.
        """
        sees = expected(self.model).reach
        return sees + ceil((self.diameter or sees / 2) / 2)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the user's own model: a run does not go on with others. Published ones never change."""
        folder = None if is_published(self.model) else find_folder(self.model)
        return model_files(folder) if folder else ()


@dataclass(frozen=True)
class StarDistSegmenter:
    """Segments pixels of shape (z, y, x) or (y, x), behind a channel axis if the model takes several.

    Parameters
    ----------
    model : StarDist2D or StarDist3D
        With its weights.
    prob, nms : float
        Thresholds, decided.
    limits : tuple of (float, float)
        Values that become 0 and 1, for every channel.
    device : str
        Where the network runs: "auto", "cpu" or "gpu".
    """

    model: Any
    prob: float
    nms: float
    limits: tuple[tuple[float, float], ...]
    device: str

    def __call__(self, image: Image, /) -> Labels:
        """Return int32 labels of the image's space shape.

        May be called from several threads: the network takes turns, while the objects of one tile are
        sorted out another's go through it.
        """
        pixels = self._normalised(image)
        axes = "ZYX"[-self.model.config.n_dim :]
        with TURN, on_device(self.device):
            found = self.model.predict_sparse(
                pixels, axes=f"{axes}C", prob_thresh=self.prob, show_tile_progress=False
            )
        return self._rendered(found[0], found[1], found[-1], pixels.shape[:-1])

    def _normalised(self, image: Image) -> NDArray[np.float32]:
        """Return float32 pixels with the channels last; what is no number is dark."""
        planes = image[None] if image.ndim == self.model.config.n_dim else image
        pixels = np.empty((*planes.shape[1:], len(planes)), np.float32)
        for i, (low, high) in enumerate(self.limits):
            pixels[..., i] = (planes[i].astype(np.float32) - np.float32(low)) / np.float32(high - low + _TINY)
        return np.nan_to_num(pixels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    def _rendered(
        self, prob: NDArray[Any], dist: NDArray[Any], points: NDArray[Any], shape: tuple[int, ...]
    ) -> Labels:
        """Return labels of the candidates that no better one covers.

        Candidates of equal probability come in the order of their place, which is the same in a tile as
        in the image; StarDist's own sorting leaves it open.
        """
        from stardist.geometry import polygons_to_label, polyhedron_to_label
        from stardist.nms import non_maximum_suppression_3d_inds, non_maximum_suppression_inds
        from stardist.rays3d import rays_from_json

        if not len(prob):
            return np.zeros(shape, np.int32)
        order = np.argsort(-prob, kind="stable")
        dist, points = dist[order], points[order]
        rank = np.arange(len(order), 0, -1, dtype=np.float32)
        if len(shape) == 2:
            keep = non_maximum_suppression_inds(dist, points, rank, thresh=self.nms, verbose=False)
            labels = polygons_to_label(dist[keep], points[keep], shape, prob=rank[keep])
        else:
            rays = rays_from_json(self.model.config.rays_json)
            keep = non_maximum_suppression_3d_inds(dist, points, rays, rank, thresh=self.nms, verbose=False)
            labels = polyhedron_to_label(
                dist[keep], points[keep], rays, shape, prob=rank[keep], verbose=False
            )
        return np.asarray(labels, np.int32)


def make(params: StarDistParams, context: SegmentContext) -> StarDistSegmenter:
    """Return the segmenter; the model is loaded once per process, however often this is called.

    Raises
    ------
    BackendError
        If the model is not here, is not one, takes other axes or channels, or there is no GPU as asked.
    """
    model = load_model(params.model, context, params.device, params.download)
    own = model.thresholds
    return StarDistSegmenter(
        model=model,
        prob=float(own.prob if params.prob_threshold is None else params.prob_threshold),
        nms=float(own.nms if params.nms_threshold is None else params.nms_threshold),
        limits=_limits(params, [context.statistics(i) for i in range(model.config.n_channel_in)]),
        device=params.device,
    )


def _limits(params: StarDistParams, channels: Sequence[Statistics]) -> tuple[tuple[float, float], ...]:
    """Return the values that become 0 and 1, of every channel."""
    wanted = params.low_percentile, params.high_percentile
    if not params.joint_channels or len(channels) == 1:
        return tuple((one.percentile(wanted[0]), one.percentile(wanted[1])) for one in channels)
    low, high = joint_percentiles(channels, wanted)
    return ((low, high),) * len(channels)
