"""The benchmark of the dock measures what it says, on an image of a few tiles; no time is asserted."""

from __future__ import annotations

import pytest
from benchmarks import data, gui
from benchmarks.measure import Options


@pytest.mark.parametrize("part", gui.cases(quick=True), ids=lambda part: part.name)
def test_the_window_is_measured(part, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(gui, "REST_S", 0.3)
    monkeypatch.setattr(gui, "VIEWS", {"zoomed in": gui.VIEWS["zoomed in"]})
    sizes = (1024 if part.name == "streaming" else 512, 128, min(part.sizes[2], 128))
    table = part.measure(sizes, data.Data(tmp_path), Options(rounds=1))
    assert all(len(row) == len(table.columns) for row in table.rows)
    found = table.data[part.name]
    if part.name == "streaming":
        (zoomed,) = found["zoomed in"]
        assert zoomed["tiles"] == 64
        assert zoomed["seen"] > 0, "tiles were seen to be drawn"
        assert zoomed["longest"] > 0
    elif part.name == "load":
        assert all(0 <= busy <= 1 for busy in found.values())
    else:
        assert len(found["total"]) == 2
        assert all(total >= 150 for total in found["total"])
