import numpy as np
import pytest

import seamlabel
from seamlabel.api import sample


def test_view_opens_image_labels_and_dock(tmp_path, qtbot, mock_app_model):
    from seamlabel.napari.show import open_viewer

    path = sample(tmp_path / "tissue.zarr", (300, 260))
    result = seamlabel.segment(path, "threshold", name="cells", progress=False)
    viewer = open_viewer(path)
    try:
        assert [layer.name for layer in viewer.layers][:2] == ["tissue", "cells"]
        labels = viewer.layers["cells"]
        full = labels.data[0] if labels.multiscale else labels.data
        assert np.array_equal(np.asarray(full), np.asarray(result.labels))
        assert np.allclose(labels.scale, viewer.layers["tissue"].scale)
        assert any("Seamlabel" in name for name in viewer.window.dock_widgets)
    finally:
        viewer.close()


def test_a_path_that_is_no_image_opens_no_window(tmp_path, capsys):
    from seamlabel.cli import main

    assert main(["view", str(tmp_path / "none.zarr")]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _settled(qtbot):
    """Have Qt's events dealt with before the leak check."""
    yield
    qtbot.wait(50)
