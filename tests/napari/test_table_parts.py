"""Filters, columns, values by label and the way to an object: what the table is made of."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from scipy import ndimage

import seamlabel
from seamlabel.axes import Axis, parse_axes
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import open_labels
from seamlabel.napari.layers.lazy_labels import with_axis
from seamlabel.napari.layers.levels import display_levels
from seamlabel.napari.layers.open_image import labels_layer
from seamlabel.napari.result.colour_by import limits
from seamlabel.napari.result.lookup import Lookup, written_levels
from seamlabel.napari.result.object_link import NAME, ObjectLink
from seamlabel.napari.result.table_columns import make_columns, number
from seamlabel.napari.result.table_filter import FilterError, matches
from seamlabel.napari.result.table_model import TableModel
from seamlabel.testing.cells import Tissue

TABLE = {
    "id": np.array([1, 2, 3, 4]),
    "area_voxels": np.array([10, 20, 30, 40]),
    "area": np.array([2.5, 5.0, 7.5, 10.0]),
    "centroid_y": np.array([1.0, np.nan, 3.0, 2.0]),
    "position_y": np.array([0.5, np.nan, 1.5, 1.0]),
    "mean_DAPI 405": np.array([7.0, 8.0, 9.0, 10.0]),
    "at_border": np.array([True, False, False, True]),
}
MICRO = (Axis("y", "space", "micrometer"), Axis("x", "space", "micrometer"))
TABLE |= {"centroid_x": TABLE["centroid_y"], "position_x": TABLE["position_y"]}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [1, 2, 3, 4]),
        ("area > 5", [3, 4]),
        ("Area pixels >= 30", [3, 4]),
        ("area_voxels=20", [2]),
        ("3 < area <= 7.5", [2, 3]),
        ("at border", [1, 4]),
        ("not at_border and area ≠ 5", [3]),
        ("at border = no or (id = 1)", [1, 2, 3]),
        ("mean dapi 405 > 8 & !at border", [3]),
        ("centre y > -1", [1, 3, 4]),
        ("area < 1e1 | area > .5", [1, 2, 3, 4]),
    ],
)
def test_a_filter_is_read_as_it_is_typed(text, rows):
    match = matches(text, make_columns(TABLE, MICRO))
    found = TABLE["id"] if match is None else TABLE["id"][match]
    assert found.tolist() == rows


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("size > 3", "'size' is not understood. Columns: id, area, area pixels"),
        ("area >", "not finished"),
        ("area", "Compare area with a number"),
        ("3 > 2", "A column is missing"),
        ("(area > 3", "not closed"),
        ("area > 3)", "')' is not expected"),
        ("area > 3 4", "'4' is not expected"),
        ("area > > 3", "'>' is not expected"),
        ("area > 1e5x", "not understood"),
        ("(" * 40 + "area > 3" + ")" * 40, "too many brackets"),
        ("__import__('os')", "not understood"),
        ("area > 3 or " * 200, "longer than"),
    ],
)
def test_a_filter_that_is_not_understood_says_why(text, why):
    with pytest.raises(FilterError) as error:
        matches(text, make_columns(TABLE, MICRO))
    assert why in str(error.value)


def test_columns_have_units_and_those_that_say_nothing_new_are_left_out():
    titles = [column.title for column in make_columns(TABLE, MICRO)]
    assert titles[:5] == ["id", "area (µm²)", "area (pixels)", "centre y (µm)", "centre x (µm)"]
    plain = [column.title for column in make_columns(TABLE, parse_axes("yx"))]
    assert plain[:3] == ["id", "area (pixels)", "mean DAPI 405"]
    assert not any("µm" in title for title in plain)
    volume = dict.fromkeys(("centroid_z", "centroid_y", "centroid_x", "area_voxels", "t"), np.arange(3))
    names = [column.title for column in make_columns(volume, parse_axes("tzyx"))]
    assert names[:2] == ["volume (voxels)", "time (frame)"]


def test_numbers_are_short_and_say_when_there_is_none():
    values = (0, 0.0001234, 0.5, 2.345, 1234.56, 12345678, np.nan)
    assert [number(v) for v in values] == ["0.000", "0.000123", "0.500", "2.35", "1,234.6", "1.23e+07", "–"]


def test_what_is_no_number_is_sorted_last_either_way(qtbot):
    from qtpy.QtCore import Qt

    model = TableModel()
    model.set_columns(make_columns(TABLE, parse_axes("yx")))
    at = [column.title for column in model.columns].index("centre y (pixels)")
    model.sort(at, Qt.SortOrder.AscendingOrder)
    assert model.shown.tolist() == [0, 3, 2, 1]
    model.sort(at, Qt.SortOrder.DescendingOrder)
    assert model.shown.tolist() == [2, 3, 0, 1]
    model.sort(-1)
    assert model.shown.tolist() == [0, 1, 2, 3]
    assert model.positions(np.array([2, 0])).tolist() == [0, 2]


@pytest.mark.parametrize("ids", [[1, 2, 5], [3, 70_000, 4_000_000_000]])
def test_labels_are_looked_up_whether_ids_are_dense_or_not(ids):
    lookup = Lookup(np.nan, np.float32)
    lookup.set(np.array(ids), np.array([10.0, 20.0, 30.0]))
    labels = np.array([0, *ids, 4, 4_000_000_001], np.uint32)
    np.testing.assert_array_equal(lookup(labels), [np.nan, 10, 20, 30, np.nan, np.nan])
    lookup.set(np.zeros(0, np.int64), np.zeros(0))
    assert np.isnan(lookup(labels)).all()


def test_colours_end_where_few_values_are_left():
    assert limits(np.arange(101.0)) == (1.0, 99.0, 0.0, 100.0)
    assert limits(np.array([5, 5])) == (5.0, 6.0, 5.0, 6.0)
    assert limits(np.array([np.nan])) == (0.0, 1.0, 0.0, 1.0)
    assert limits(np.array([True, False])) == (0.0, 1.0, 0.0, 1.0)


def bright(tile):
    return ndimage.label(tile > 2000, np.ones((3,) * tile.ndim))[0]


def measured(tmp_path, pixels, axes):
    path = tmp_path / "image.zarr"
    how = {"axes": axes, "scale": (2.0, 0.5, 0.5), "units": (None, *("micrometer",) * 2)}
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], levels=2, **how)
    return seamlabel.segment(path, bright, tile_shape=40, overlap=6, table=True, progress=False)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("axes", ["zyx", "tyx"])
def test_an_object_of_another_plane_or_frame_is_brought_into_sight(make_napari_viewer, tmp_path, axes):
    volume = Tissue((8, 60, 70), "tissue3d").image()
    result = measured(tmp_path, volume, axes)
    viewer = make_napari_viewer()
    layer = viewer.add_layer(labels_layer(result.path))
    link = ObjectLink(viewer, lambda *_: None)
    link.follow(layer, written_levels(result.path, result.plan, layer), result.plan, result.table)
    labels = np.asarray(result.labels)
    row = len(result.table["id"]) - 1
    for viewer.dims.ndisplay in (2, 3):
        link.highlight(np.array([row]))
        link.go_to(row)
        inside = np.argwhere(labels == row + 1)
        at = viewer.dims.point[0] / 2
        assert viewer.dims.ndisplay == 3 or inside[:, 0].min() - 0.5 <= at <= inside[:, 0].max() + 0.5
        low, high = (function(inside[:, 1:], 0) * 0.5 for function in (np.min, np.max))
        viewer.camera.zoom = 100
        link.go_to(row)
        assert (low - 1 <= viewer.camera.center[-2:]).all()
        assert (viewer.camera.center[-2:] <= high + 1).all()
    at = int(result.table["t" if axes == "tyx" else "bbox_z_start"][row])
    plane, whole = np.asarray(link.outline.data[0][at]), labels[at] == row + 1
    assert plane.any()
    assert not plane[~whole].any()
    assert plane[whole & ~ndimage.binary_erosion(whole, border_value=1)].all()
    assert not plane[ndimage.binary_erosion(whole, np.ones((3, 3)), iterations=3)].any()
    link.close()
    assert [one.name for one in viewer.layers] == [layer.name]


def test_an_object_is_found_where_labels_are_repeated_along_channels(make_napari_viewer, tmp_path):
    result = measured(tmp_path, Tissue((4, 60, 70), "tissue3d").image(), "tyx")
    viewer = make_napari_viewer()
    levels = [with_axis(level, 1, 3) for level in display_levels(open_labels(result.path))]
    layer = viewer.add_layer(Labels(levels, multiscale=True, scale=(2, 1, 0.5, 0.5)))
    viewer.dims.set_point(1, 2)
    link = ObjectLink(viewer, lambda *_: None)

    class Plan:
        axes, grid = result.plan.axes, result.plan.grid
        info = type("Info", (), {"channel_axis": 1})

    link.follow(layer, written_levels(result.path, Plan, layer), Plan, result.table)
    viewer.camera.zoom = 100
    row = len(result.table["id"]) - 1
    link.go_to(row)
    assert viewer.dims.point[:2] == (result.table["t"][row] * 2, 2)
    place = [result.table[f"centroid_{axis}"][row] * 0.5 for axis in "yx"]
    np.testing.assert_allclose(viewer.camera.center[-2:], place, atol=4)
    link.highlight(np.array([row]))
    assert viewer.layers[NAME].data[0].shape == layer.data[0].shape
    link.close()
