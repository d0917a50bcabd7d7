from __future__ import annotations

import numpy as np


def movie():
    frames = np.zeros((5, 96, 96), np.uint16)
    for t in range(5):
        frames[t, 20 + 4 * t : 36 + 4 * t, 30:50] = 4000
    return frames


def test_the_current_time_point_alone_is_segmented_and_follows_the_slider(dock):
    layer = dock.add(movie(), scale=(2.0, 0.5, 0.5), axis_labels=("t", "y", "x"))
    dock.form.method.set_values("threshold", {})
    time = dock.form.image.stack.time
    time.which.setCurrentIndex(1)
    dock.viewer.dims.set_current_step(0, 3)
    assert dock.form.value().region == (((3, 4), (0, 96), (0, 96)),)
    dock.viewer.dims.set_current_step(0, 1)
    assert dock.form.value().region == (((1, 2), (0, 96), (0, 96)),)
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    labels = np.asarray(dock.controller.results.layer.data)
    assert [int(frame.max()) for frame in labels] == [0, 1, 0, 0, 0]
    assert layer in dock.viewer.layers


def test_time_points_and_a_drawn_region_count_together(dock):
    dock.add(movie(), axis_labels=("t", "y", "x"))
    dock.tiles((32, 32), (8, 8))
    form = dock.form
    spec = form.value().replace(region=(((0, 5), (0, 32), (32, 96)),))
    form.setValue(spec)
    form.image.stack.time.set_range((2, 4))
    assert form.value().region == (((2, 4), (0, 32), (32, 96)),)
