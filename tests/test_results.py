"""What `print` and a notebook show of a result."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

import seamlabel
from seamlabel.kernels.report import JUDGED, MOST, MergeReport


def bars(shape=(60, 60)):
    image = np.zeros(shape, np.uint8)
    image[::3] = 9
    return image


def label(tile):
    return ndimage.label(tile > 5)[0]


def test_a_result_is_shown_in_a_few_lines_however_many_objects_it_has(tmp_path):
    result = seamlabel.segment(
        bars(),
        label,
        tile_shape=20,
        overlap=4,
        table=True,
        keep=True,
        output=tmp_path / "out.zarr",
        progress=False,
    )
    lines = repr(result).splitlines()
    assert lines[0].startswith("Result(20 objects in ")
    assert lines[0].endswith(result.path)
    assert lines[1].strip() == f"table of {len(result.table)} columns"
    assert lines[2].strip() == f"seams: {result.report.summary}"
    assert lines[3].strip() == f"run kept in {result.run_dir})"
    assert len(lines) == 4
    assert str(result) == repr(result)


def test_a_result_says_nothing_of_what_it_does_not_have():
    result = seamlabel.segment(bars()[:1], label, tile_shape=60, progress=False)
    assert repr(result) == f"Result(1 object in {result.seconds:.1f} s: {result.path})"


def test_a_report_is_shown_on_one_line_and_keeps_its_lists():
    result = seamlabel.segment(bars(), label, tile_shape=20, overlap=4, progress=False)
    joined = result.report.n_joined
    assert joined > 20
    told = f"{joined:,} joined of {joined:,} pairs, 0 refused, 0 dropped, 0 absorbed, 0 doubtful"
    assert repr(result.report) == f"MergeReport({told}, 20 incomplete)"
    assert result.report.incomplete.size == 20


def test_a_report_says_where_its_lists_end():
    nothing = np.zeros(0, JUDGED)
    counts = dict.fromkeys(("refused", "dropped", "absorbed", "incomplete"), 0)
    report = MergeReport(
        n_compared=20_000,
        n_joined=1,
        n_labels=3,
        n_objects=2,
        **{f"n_{name}": count for name, count in counts.items()},
        doubtful=np.zeros(MOST, JUDGED),
        **dict.fromkeys(counts, nothing),
    )
    assert "1 joined of 20,000 pairs" in repr(report)
    assert "10,000 or more doubtful" in repr(report)
