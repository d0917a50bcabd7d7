from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.with_torch.networks import Blur, Unet, script, tissue

from seamlabel import registry
from seamlabel.cli import main
from seamlabel.errors import BackendError
from seamlabel.io.ngff.images import write_image
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext

HERE = Path(__file__).with_name("networks.py")
PIXELS = np.random.default_rng(0).integers(0, 4000, (64, 72)).astype(np.uint16)


def make(axes="yx", channels=1, **params):
    record = registry.backend("torch")
    made, problems = record.parse({"align": 4, "activation": "sigmoid", "channel": 1, **params})
    assert not problems, problems
    names = tuple(map(str, range(channels)))
    context = SegmentContext(axes, "uint16", (1.0,) * len(axes), names, lambda i: ImageStatistics.of(PIXELS))
    return record.make(made, context)


def refused(**params):
    with pytest.raises(BackendError) as error:
        make(**params)
    assert error.value.hint
    return f"{error.value} {error.value.hint}"


def saved(thing, path):
    torch.save(thing, path)
    return str(path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 7},
        lambda state: {"model_state_dict": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"net.{name}": value for name, value in state.items()}},
    ],
    ids=["plain", "state_dict", "model_state_dict", "parallel", "lightning"],
)
def test_weights_fill_the_network_that_a_function_makes(wrap, tmp_path):
    path = saved(wrap(Unet().state_dict()), tmp_path / "weights.pth")
    expected = make(model=script(Unet(), tmp_path / "net.pt"))(PIXELS)
    assert np.array_equal(make(model=path, network=f"{HERE}:unet")(PIXELS), expected)


def test_what_a_file_is_not_is_told(tmp_path):
    weights = saved(Unet().state_dict(), tmp_path / "weights.pth")
    assert "there is no file" in refused(model=str(tmp_path / "none.pt"))
    assert "network=file.py:function" in refused(model=weights)
    (tmp_path / "text.pt").write_text("hello")
    assert "is no file of weights" in refused(model=str(tmp_path / "text.pt"))
    assert "holds no weights" in refused(
        model=saved({"loss": [1, 2]}, tmp_path / "l.pt"), network=f"{HERE}:unet"
    )
    net = script(Unet(), tmp_path / "net.pt")
    assert "Leave 'network' empty" in refused(model=net, network=f"{HERE}:unet")
    whole = Path(net).read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole[: len(whole) // 2])
    assert "is no file of weights" in refused(model=str(cut))


def test_files_that_could_run_code_are_not_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    assert "could run code" in refused(model=saved(Unet(), tmp_path / "whole.pt"))
    assert "could run code" in refused(
        model=saved({"w": Bomb()}, tmp_path / "bomb.pt"), network=f"{HERE}:unet"
    )
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Bomb()))
    refused(model=str(tmp_path / "old.pt"), network=f"{HERE}:unet")
    program = torch.export.export(Unet().eval(), (torch.zeros(1, 1, 64, 64),))
    torch.export.save(program, tmp_path / "e.pt2")
    assert "can run code" in refused(model=str(tmp_path / "e.pt2"))
    assert not (tmp_path / "ran").exists()


def test_a_network_that_does_not_fit_its_weights_is_told(tmp_path):
    path = saved(Unet().state_dict(), tmp_path / "weights.pth")
    assert re.search(r"first.weight", refused(model=path, network=f"{HERE}:two_channels"))
    assert "KeyError" in refused(model=path, network=f"{HERE}:broken")
    assert "returns int" in refused(model=path, network=f"{HERE}:number")
    assert "has no function 'nothing'" in refused(model=path, network=f"{HERE}:nothing")


def test_what_the_network_does_not_take_is_told_before_any_tile(tmp_path):
    net = script(Unet(), tmp_path / "net.pt")
    text = refused(model=net, channels=2)
    assert "takes 1 channel(s), 2 are chosen" in text
    assert "plane by plane" in refused(model=net, axes="zyx")
    assert "pooling" in refused(model=net, align=1, patch="63", halo=0)
    assert "has 2 sides" in refused(model=net, patch="64,64", axes="zyx", halo=0)


def test_what_the_network_does_not_answer_is_told_before_any_tile(tmp_path):
    net = script(Unet(), tmp_path / "net.pt")
    assert "no probabilities" in refused(model=net, activation="none")
    assert "3 output channel(s), and channel 5" in refused(model=net, channel=5)
    assert "channel 4" in refused(model=net, output="foreground and boundary", boundary=4)
    assert "fractions" in refused(model=net, output="labels")
    blur = script(Blur(), tmp_path / "blur.pt")
    assert "channel 1" in refused(model=blur, output="classes")
    valid = script(torch.nn.Conv2d(1, 1, 5), tmp_path / "valid.pt")
    assert "padded" in refused(model=valid, output="distance")
    pooled = script(torch.nn.AdaptiveAvgPool2d(1), tmp_path / "one.pt")
    assert "answers" in refused(model=pooled)


def test_a_gpu_that_is_not_there_is_told(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert "no GPU 'cuda'" in refused(model=script(Blur(), tmp_path / "b.pt"), device="cuda")


def test_a_network_that_is_trained_on_counts_at_once(tmp_path):
    path = saved(Unet().state_dict(), tmp_path / "weights.pth")
    first = make(model=path, network=f"{HERE}:unet").maps(PIXELS)
    later = {name: value * 2 for name, value in Unet().state_dict().items()}
    saved(later, tmp_path / "weights.pth")
    assert not np.allclose(make(model=path, network=f"{HERE}:unet").maps(PIXELS), first)


def test_the_command_line_segments_and_tells_what_is_wrong(tmp_path, capsys):
    store = tmp_path / "image.zarr"
    pixels = tissue((128, 160))
    write_image(store, pixels.shape, "uint16", lambda box: pixels[box.slices], axes="yx")
    net = script(Unet(), tmp_path / "net.pt")
    common = ["segment", str(store), "--backend", "torch", "--set", f"model={net}", "--tile", "64", "--quiet"]
    assert main([*common, "--set", "activation=sigmoid", "--set", "align=4", "--set", "channel=1"]) == 0
    assert main([*common, "--name", "other"]) == 1
    told = capsys.readouterr().err
    assert "no probabilities" in told
    assert "Traceback" not in told
