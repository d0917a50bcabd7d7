"""The built-in backends: declarations only, nothing heavy is imported to list them.

Calling this package, ``seamlabel.backends()``, returns all backends there are by name.
"""

from __future__ import annotations

import sys
from types import ModuleType

from seamlabel import registry
from seamlabel.registry import Backend

BACKENDS = [
    Backend(
        name="threshold",
        title="Threshold",
        params="seamlabel.backends.threshold:ThresholdParams",
        factory="seamlabel.backends.threshold:make",
        whole_object=("min_size",),
        bytes_per_voxel=32,
        description="Connected bright regions, by a value given, of the whole image, or around pixels.",
    ),
    Backend(
        name="watershed",
        title="Watershed",
        params="seamlabel.backends.watershed:WatershedParams",
        factory="seamlabel.backends.watershed:make",
        max_channels=2,
        whole_object=("min_size",),
        bytes_per_voxel=80,
        description="Touching cells, split by distance to background, by intensity or by markers.",
    ),
    Backend(
        name="blobs",
        title="Blobs",
        params="seamlabel.backends.blobs:BlobsParams",
        factory="seamlabel.backends.blobs:make",
        whole_object=("min_size",),
        bytes_per_voxel=80,
        description="Small bright spots of about known size, labelled as discs or as regions.",
    ),
    Backend(
        name="stardist",
        title="StarDist",
        params="seamlabel.backends.stardist:StarDistParams",
        factory="seamlabel.backends.stardist:make",
        needs=("stardist", "tensorflow"),
        install='pip install "seamlabel[stardist]"',
        max_channels=None,
        bytes_per_voxel=600,
        shared=True,
        description="Roundish objects such as nuclei, by a trained StarDist network, in 2D or 3D.",
    ),
    Backend(
        name="cellpose",
        title="Cellpose",
        params="seamlabel.backends.cellpose:CellposeParams",
        factory="seamlabel.backends.cellpose:make",
        maps="seamlabel.backends.cellpose:make_maps",
        needs=("cellpose", "torch"),
        install='pip install "seamlabel[cellpose]"',
        max_channels=3,
        whole_object=("min_size",),
        bytes_per_voxel=240,
        shared=True,
        description="Cells and nuclei by a trained network: Cellpose 3 or 4, its models or your own.",
    ),
    Backend(
        name="torch",
        title="PyTorch network",
        params="seamlabel.backends.torch:TorchParams",
        factory="seamlabel.backends.torch:make",
        maps="seamlabel.backends.torch:make_maps",
        needs=("torch",),
        install='pip install "seamlabel[torch]"',
        max_channels=None,
        whole_object=("min_size",),
        bytes_per_voxel=2000,
        shared=True,
        description="A network of your own: TorchScript, or weights and the function that makes it.",
    ),
    Backend(
        name="bioimageio",
        title="BioImage.IO model",
        params="seamlabel.backends.bioimageio:BioimageioParams",
        factory="seamlabel.backends.bioimageio:make",
        maps="seamlabel.backends.bioimageio:make_maps",
        needs=("bioimageio.core",),
        install='pip install "seamlabel[bioimageio]"',
        max_channels=None,
        whole_object=("min_size",),
        bytes_per_voxel=2000,
        shared=True,
        description="A model of the BioImage Model Zoo, run as its record says.",
    ),
    Backend(
        name="function",
        title="Python function",
        params="seamlabel.backends.function:FunctionParams",
        factory="seamlabel.backends.function:make",
        max_channels=None,
        bytes_per_voxel=64,
        description="Any function of your own: fn(tile) -> labels.",
    ),
]


class _Callable(ModuleType):
    def __call__(self) -> dict[str, Backend]:
        """Return all backends by name: built in, from other packages, and registered."""
        return registry.backends()


sys.modules[__name__].__class__ = _Callable
