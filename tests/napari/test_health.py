"""What the panel says of the seams and of the overlap."""

from __future__ import annotations

import numpy as np
import pytest

from seamlabel.napari.result.health import HealthBox, grade


@pytest.fixture
def ran(shown_dock, image_path):
    """Return the dock after a run whose overlap is this."""

    def ran(overlap):
        shown_dock.controller.open(image_path)
        shown_dock.ready()
        shown_dock.tiles((128, 128), (overlap, overlap))
        shown_dock.click(shown_dock.bar.run_button)
        shown_dock.wait_end()
        return shown_dock, shown_dock.widget.result.findChild(HealthBox)

    return ran


def test_an_overlap_that_objects_fit_into_is_called_good(ran):
    dock, box = ran(40)
    assert box.grade.text() == "Overlap: good"
    report = dock.controller.results.shown.report
    assert f"{report.n_joined:,} matches" in box.counts.text()
    assert "Times that two tiles saw the same object" in box.counts.toolTip()
    assert not box.use.isVisibleTo(dock.widget)


def test_objects_that_span_the_overlap_ask_for_a_larger_one_which_runs_at_a_click(ran):
    dock, box = ran(4)
    assert box.grade.text() == "Overlap: bad"
    assert "span the whole overlap: increase it to" in box.need.text()
    wanted = int(box.need.text().split()[-1])
    before = dock.controller.results.shown
    dock.click(box.use)
    assert dock.run.active
    assert dock.form.tiles.overlap.value() == (wanted, wanted)
    dock.wait_end()
    after = dock.controller.results.shown
    assert after.path.endswith("cells-2")
    assert np.all(np.array(after.plan.grid.overlap) == wanted)
    assert after.report.n_incomplete < before.report.n_incomplete
    assert grade(after.report, None) != "bad"


def test_one_tile_has_no_seams_to_tell_of(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.controller.results.shown.report.n_labels == 0
    assert not dock.widget.result.findChild(HealthBox).isVisibleTo(dock.widget)
