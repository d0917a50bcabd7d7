"""BioImage.IO packages as people make them, around the small networks of `networks`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from bioimageio.spec import save_bioimageio_package, save_bioimageio_package_as_folder
from bioimageio.spec.common import FileDescr
from bioimageio.spec.model import v0_5
from tests.with_torch.networks import Unet

HERE = Path(__file__).with_name("networks.py")
POOLED = v0_5.ParameterizedSize(min=16, step=4)


def package(
    folder,
    *,
    ndim=2,
    channels=1,
    size=POOLED,
    pre=None,
    post=None,
    weights=("torchscript",),
    halo=None,
    zipped=True,
    scale=1.0,
):
    """Write a package; return where."""
    folder.mkdir(parents=True, exist_ok=True)
    net, names = Unet(ndim, channels).eval(), "zyx"[-ndim:]
    side = size if isinstance(size, int) else 64
    pixels = np.random.default_rng(0).random((1, channels, *(side,) * ndim), np.float32)
    np.save(folder / "in.npy", pixels)
    found = net(torch.from_numpy(pixels)).detach().numpy()
    np.save(folder / "out.npy", found[(..., *(slice(None, None, int(scale)),) * ndim)])
    (folder / "doc.md").write_text("# A network for tests\n## Validation\nby tests")
    spaces = [v0_5.SpaceInputAxis(id=name, size=size) for name in names]
    of = {name: v0_5.SizeReference(tensor_id="raw", axis_id=name) for name in names}
    if halo is None:
        answers = [v0_5.SpaceOutputAxis(id=name, size=of[name], scale=scale) for name in names]
    else:
        answers = [v0_5.SpaceOutputAxisWithHalo(id=name, size=of[name], halo=halo) for name in names]
    given = v0_5.InputTensorDescr(
        id="raw",
        axes=[v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=[f"c{i}" for i in range(channels)]), *spaces],
        test_tensor=FileDescr(source=folder / "in.npy"),
        preprocessing=pre or [percentiles()],
    )
    answer = v0_5.OutputTensorDescr(
        id="maps",
        axes=[v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=["rest", "cell", "edge"]), *answers],
        test_tensor=FileDescr(source=folder / "out.npy"),
        postprocessing=[v0_5.SigmoidDescr()] if post is None else post,
    )
    record = v0_5.ModelDescr(
        name="Small test net",
        description="A network of known reach",
        authors=[v0_5.Author(name="seamlabel")],
        cite=[v0_5.CiteEntry(text="none", url="https://example.com")],
        license="BSD-3-Clause",
        documentation=FileDescr(source=folder / "doc.md"),
        inputs=[given],
        outputs=[answer],
        weights=v0_5.WeightsDescr(**{kind: _weights(kind, net, folder, ndim, channels) for kind in weights}),
    )
    if zipped:
        return str(save_bioimageio_package(record, output_path=folder / "package.zip"))
    return str(save_bioimageio_package_as_folder(record, output_path=folder / "package"))


def percentiles(axes=("y", "x")):
    return v0_5.ScaleRangeDescr(
        kwargs=v0_5.ScaleRangeKwargs(axes=list(axes), min_percentile=1.0, max_percentile=99.8)
    )


def standard(axes=("y", "x")):
    return v0_5.ZeroMeanUnitVarianceDescr(kwargs=v0_5.ZeroMeanUnitVarianceKwargs(axes=list(axes)))


def _weights(kind, net, folder, ndim, channels):
    if kind == "torchscript":
        torch.jit.trace(net, torch.zeros(1, channels, *(64,) * ndim)).save(folder / "net.pt")
        return v0_5.TorchscriptWeightsDescr(
            source=folder / "net.pt", pytorch_version=torch.__version__.partition("+")[0]
        )
    torch.save(net.state_dict(), folder / "net.pth")
    (folder / "networks.py").write_text(HERE.read_text())
    call = v0_5.ArchitectureFromFileDescr(
        source=folder / "networks.py", callable="Unet", kwargs={"ndim": ndim, "channels": channels}
    )
    return v0_5.PytorchStateDictWeightsDescr(
        source=folder / "net.pth", architecture=call, pytorch_version=torch.__version__.partition("+")[0]
    )
