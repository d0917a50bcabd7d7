"""The form in full depth: channels, time, planes, masks, objects, and specs that round-trip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt

from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import open_labels
from seamlabel.spec import RunSpec


@pytest.fixture
def movie(tmp_path, pixels):
    """Return an OME-Zarr of 3 time points, 2 named channels and 4 planes of 96 x 80 pixels, with 2 levels."""
    path = tmp_path / "movie.zarr"
    stack = np.stack([np.stack([np.stack([pixels[:96, :80]] * 4)] * 2)] * 3)
    units = (None, None, *("micrometer",) * 3)
    options = {"axes": "tczyx", "units": units, "channels": ("DAPI", "GFP"), "levels": 2}
    write_image(path, stack.shape, "uint16", lambda box: stack[box.slices], **options)
    return str(path)


def pick(dock, combo, text):
    """Choose an entry with the keyboard."""
    dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(combo.findText(text)):
        dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentText() == text


def method(dock, name):
    combo = dock.form.method.combo
    pick(dock, combo, combo.itemText(combo.findData(name)))


def visible(dock, widget):
    return widget.isVisibleTo(dock.form)


# -- channels ------------------------------------------------------------------------------------


def test_several_channels_are_ticked_one_after_the_other_and_the_menu_stays(shown_dock, movie):
    dock, picker = shown_dock, shown_dock.form.image.channel
    dock.controller.open(movie)
    dock.ready()
    dock.form.method.set_values("function", {"target": "a:b"})
    dock.form.method.changed.emit()
    picker.list.popup(picker.mapToGlobal(picker.rect().bottomLeft()))
    dock.qtbot.waitUntil(picker.list.isVisible, timeout=3000)
    place = picker.list.actionGeometry(picker.list.actions()[1]).center()
    dock.qtbot.mouseClick(picker.list, Qt.MouseButton.LeftButton, pos=place)
    assert picker.list.isVisible()
    assert dock.form.value().channels == (0, 1)
    dock.qtbot.keyClick(picker.list, Qt.Key.Key_Up)
    dock.qtbot.keyClick(picker.list, Qt.Key.Key_Space)
    assert dock.form.value().channels == (1,)
    dock.qtbot.keyClick(picker.list, Qt.Key.Key_Space)
    assert dock.form.value().channels == (1, 0), "in the order of ticking"
    dock.qtbot.keyClick(picker.list, Qt.Key.Key_Escape)
    assert picker.text() == "GFP, DAPI"


def test_a_method_of_one_channel_gets_one_and_the_others_come_back(dock, movie):
    dock.controller.open(movie)
    dock.ready()
    picker, note = dock.form.image.channel, dock.form.image.channel_note
    method(dock, "function")
    picker.list.actions()[1].trigger()
    assert picker.chosen() == (0, 1)
    method(dock, "threshold")
    assert dock.form.value().channels == (0,)
    assert note.text() == "Threshold takes 1 channel: 1 left out"
    dock.ready()
    method(dock, "function")
    assert dock.form.value().channels == (0, 1)
    assert note.text() == ""
    method(dock, "threshold")
    picker.list.actions()[1].trigger()
    assert dock.form.value().channels == (1,)
    picker.list.actions()[1].trigger()
    assert dock.form.value().channels == (1,), "one channel stays"


def test_channel_and_level_stay_after_a_run(dock, movie):
    dock.controller.open(movie)
    dock.ready()
    method(dock, "threshold")
    dock.form.image.channel.list.actions()[1].trigger()
    dock.form.image.level.setCurrentIndex(1)
    dock.ready()
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert (dock.form.value().channels, dock.form.value().level) == ((1,), 1)


# -- time and planes -----------------------------------------------------------------------------


def test_time_points_are_all_the_current_one_or_a_range(dock, movie):
    dock.controller.open(movie)
    dock.ready()
    image, row = dock.form.image, dock.form.image.stack.time
    assert image.time_range() is None
    image.set_step("t", 2)
    image.set_step("z", 1)
    pick(dock, row.which, "Current (2)")
    assert image.time_range() == (2, 3)
    with dock.qtbot.waitSignal(image.changed):
        image.set_step("t", 1)
    assert image.time_range() == (1, 2)
    pick(dock, row.which, "Range")
    assert visible(dock, row.last)
    assert image.time_range() == (0, 3)
    dock.type(row.first.lineEdit(), "1")
    assert image.time_range() == (1, 3)
    dock.type(row.first.lineEdit(), "2")
    dock.type(row.last.lineEdit(), "1")
    assert image.time_range() == (1, 3), "in whatever order"


def test_an_image_without_time_or_planes_has_no_rows_for_them(dock, pixels, movie):
    dock.controller.open(movie)
    dock.ready()
    stack = dock.form.image.stack
    assert visible(dock, stack.time)
    assert visible(dock, stack.way)
    pick(dock, stack.way, "Plane by plane")
    dock.form.image.set_layers([dock.viewer.add_image(pixels)], dock.viewer.layers[-1])
    dock.ready()
    assert not visible(dock, stack.time)
    assert not visible(dock, stack.way)
    assert dock.form.value().planes is False
    assert dock.form.image.time_range() is None


def test_planes_are_segmented_by_themselves_or_linked(dock, movie):
    dock.controller.open(movie)
    dock.ready()
    stack, tiles = dock.form.image.stack, dock.form.tiles
    assert [box.prefix() for box in tiles.shape.boxes] == ["z ", "y ", "x "]
    pick(dock, stack.way, "Plane by plane")
    assert [box.prefix() for box in tiles.shape.boxes] == ["y ", "x "]
    assert not visible(dock, stack.link)
    dock.ready()
    assert (dock.form.value().planes, dock.form.value().merge.z_link) == (True, None)
    pick(dock, stack.way, "Plane by plane, linked")
    dock.type(stack.link.lineEdit(), "0.5")
    assert dock.form.value().merge.z_link == 0.5
    method(dock, "threshold")
    dock.ready()
    assert dock.controller.plan.linked == 1
    dock.click(dock.bar.run_button)
    dock.wait_end()
    labels = np.asarray(open_labels(dock.run.progress.result.path)[0][...])
    np.testing.assert_array_equal(labels[:, 0], labels[:, 3])
    assert labels.max() >= 3, "one object or more in each time point"


# -- skipping ------------------------------------------------------------------------------------


def test_dark_tiles_are_skipped_by_a_value_that_is_a_number(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    skip = dock.form.image.skip
    assert not visible(dock, skip.kind), "folded"
    dock.click(skip.header)
    pick(dock, skip.kind, "Dark: up to a value")
    assert skip.problem("value") == "No value is given. Give a number, such as 100"
    assert not dock.bar.run_button.isEnabled()
    for wrong in ("much", "nan", "/a/b.zarr"):
        dock.type(skip.limit, wrong)
        assert f"'{wrong}' is no pixel value" in skip.problem("value")
    dock.type(skip.limit, "12,5")
    assert dock.form.value().skip_empty == 12.5
    dock.ready()
    pick(dock, skip.level, "level 1")
    assert dock.form.value().skip_level == 1
    dock.form.image.level.setCurrentIndex(1)
    assert dock.form.value().skip_level is None
    pick(dock, skip.kind, "Dark: up to Otsu's threshold")
    assert dock.form.value().skip_empty == "otsu"
    assert "dark tiles" in skip.header.text()


def test_a_labels_layer_says_where_objects_are_looked_for(dock, pixels):
    dock.add(pixels)
    mask = np.zeros((192, 192), np.uint8)
    mask[:64, :64] = 1
    layer = dock.viewer.add_labels(mask, name="here", scale=(2, 2))
    skip = dock.form.image.skip
    pick(dock, skip.kind, "Outside a mask")
    assert (skip.mask_layer.currentText(), dock.form.value().skip_empty) == ("here", "mask")
    assert dock.form.image.mask() is layer.data
    method(dock, "threshold")
    dock.tiles((128, 128), (8, 8))
    dock.click(dock.bar.run_button)
    dock.wait_end()
    assert dock.run.progress.states["empty"] > dock.run.progress.states["done"] > 0
    dock.viewer.layers.remove(layer)
    dock.qtbot.waitUntil(lambda: not dock.bar.run_button.isEnabled(), timeout=3000)
    assert skip.problem("mask_path").startswith("No mask is given")


def test_a_mask_that_was_opened_from_an_ome_zarr_is_named_by_its_path(dock, image_path, tmp_path, pixels):
    mask = tmp_path / "mask.zarr"
    write_image(mask, (256, 256), "uint8", lambda box: np.ones(box.shape, np.uint8), axes="yx")
    dock.controller.open(image_path)
    dock.ready()
    skip = dock.form.image.skip
    pick(dock, skip.kind, "Outside a mask")
    dock.type(skip.mask_path.line, str(mask))
    dock.ready()
    assert dock.form.value().skip_empty == str(mask)
    assert dock.form.image.mask() is None
    assert "Tiles" not in [skip.mask_layer.itemText(i) for i in range(skip.mask_layer.count())]


def test_another_image_is_not_skipped_by_what_was_said_of_the_first(dock, pixels):
    dock.add(np.asarray(pixels), name="first")
    pick(dock, dock.form.image.skip.kind, "Dark: up to Otsu's threshold")
    layer = dock.add(np.asarray(pixels), name="second")
    dock.form.image.set_layers(dock.controller.image.images(), layer)
    assert dock.form.value().skip_empty is None


# -- objects -------------------------------------------------------------------------------------


def test_objects_are_kept_by_size_border_and_holes(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    part = dock.form.objects
    assert not visible(dock, part.least)
    dock.click(part.header)
    dock.type(part.least, "50 µm²")
    assert dock.controller.plan.min_size == 200
    dock.type(part.most, "40")
    assert "below min_size" in part.problem("max_size")
    assert not dock.bar.run_button.isEnabled()
    dock.type(part.most, "4000")
    dock.click(part.border)
    dock.click(part.holes)
    spec = dock.form.value()
    assert (spec.min_size, spec.max_size, spec.drop_border, spec.fill_holes) == ("50 µm²", 4000, True, True)
    assert part.header.text() == "Objects · ≥ 50 µm², ≤ 4000, not at the border, holes filled"


@pytest.mark.parametrize("wrong", ["-1", "many", "2.5", "50 um9", "50 bananas", "1e400"])
def test_a_size_that_is_none_turns_red_although_its_rows_were_folded(dock, image_path, wrong):
    dock.controller.open(image_path)
    dock.ready()
    part = dock.form.objects
    dock.type(part.least, wrong)
    assert part.problem("min_size")
    assert part.least.property("wrong") is True
    assert visible(dock, part.least)
    dock.type(part.least, " ")
    assert part.problem("min_size") == ""
    dock.ready()


def test_the_size_of_a_method_shows_only_where_it_is_set(dock, pixels):
    dock.add(pixels)
    dock.form.method.set_values("threshold", {})
    assert not visible(dock, dock.form.method.params.widget("min_size"))
    dock.form.method.set_values("threshold", {"min_size": 5})
    assert visible(dock, dock.form.method.params.widget("min_size"))


@pytest.mark.parametrize(
    ("line", "wrong"), [("workers", "two"), ("workers", "0"), ("retries", "-1"), ("retries", "x")]
)
def test_numbers_of_the_work_turn_red_with_a_reason(dock, pixels, line, wrong):
    dock.add(pixels)
    part = dock.form.tiles.run_on
    field = getattr(part, line)
    dock.type(field, wrong)
    assert part.problem(line)
    assert visible(dock, field)
    assert field.property("wrong") is True
    dock.type(field, "3")
    assert getattr(dock.form.value(), line) == 3
    dock.ready()


# -- specs ---------------------------------------------------------------------------------------

whole = st.integers(1, 500)
share = st.floats(0.01, 1.0)
FOREGROUND = {
    "method": st.sampled_from(["otsu", "li", "triangle"]), "value": st.none() | st.floats(-1e6, 1e6),
    "window": st.integers(3, 99), "offset": st.floats(-1e6, 1e6), "smoothing": st.floats(0, 100),
    "background": st.floats(0, 100), "dark": st.just(False), "min_size": st.integers(0, 99),
}  # fmt: skip
PARAMS = {
    "threshold": st.fixed_dictionaries(FOREGROUND),
    "watershed": st.fixed_dictionaries(
        {"seeds": st.sampled_from(["distance", "intensity"]), "diameter": st.floats(2, 1000), **FOREGROUND}
    ),
    "blobs": st.fixed_dictionaries(
        {"kind": st.sampled_from(["log", "dog"]), "diameter": st.floats(1, 100),
         "largest": st.none() | st.floats(100, 500), "threshold": st.floats(0, 1),
         "labels": st.sampled_from(["discs", "regions"]), "background": st.floats(0, 100),
         "dark": st.just(False), "min_size": st.integers(0, 99)}
    ),
    "function": st.fixed_dictionaries({"target": st.just("m:f")}, optional={"keywords": st.just({"a": 1})}),
}  # fmt: skip


def numbers(least, axes, most):
    return st.tuples(*[st.integers(least, 4)] * (axes - 2), *[st.integers(least, most >> 1)] * 2)


@st.composite
def specs(draw):
    backend = draw(st.sampled_from(sorted(PARAMS)))
    planes = draw(st.booleans())
    level = draw(st.integers(0, 1))
    skip = draw(st.none() | st.floats(-1e4, 1e4) | st.sampled_from(["otsu", "/a/mask.zarr"]))
    by_value = skip is not None and skip != "/a/mask.zarr"
    axes = 2 if planes else 3
    most = 96 >> level
    dask = draw(st.booleans())
    chosen = [(0,), (1,), ("GFP",)] + [(1, 0), ("GFP", "DAPI")] * (backend == "function")
    return {
        "backend": backend,
        "params": draw(PARAMS[backend]),
        "level": level,
        "channels": draw(st.sampled_from(chosen)),
        "tile_shape": draw(st.just("auto") | numbers(1, axes, most)),
        "overlap": draw(st.just("auto") | numbers(0, axes, most)),
        "planes": planes,
        "merge": {
            "rule": draw(st.sampled_from(["iou", "touching", "face"])),
            "iou": draw(share),
            "z_link": draw(st.none() | share) if planes else None,
        },
        "min_size": draw(st.integers(0, 50) | st.sampled_from(["5 um2", "0.5 µm"])),
        "max_size": draw(st.none() | st.integers(60, 999)),
        "drop_border": draw(st.booleans()),
        "fill_holes": draw(st.booleans()),
        "steps": draw(st.sampled_from([(), ("expand=3",), ("split=20", "shrink=0.5 um", "smooth=1")])),
        "table": draw(st.none() | st.just("cells.csv")),
        "name": draw(st.sampled_from(["cells", "a-b", "nuclei_2"])),
        "overwrite": draw(st.booleans()),
        "sequential": draw(st.booleans()),
        "skip_empty": skip,
        "skip_level": 1 if by_value and level == 0 and draw(st.booleans()) else None,
        "executor": "dask" if dask else draw(st.sampled_from(["auto", "serial", "threads", "processes"])),
        "scheduler": "tcp://h:1" if dask and draw(st.booleans()) else None,
        "workers": draw(st.none() | whole),
        "retries": draw(st.integers(0, 9)),
        "timeout": draw(st.none() | st.floats(0.001, 1e6)),
    }  # fmt: skip


def test_every_spec_is_given_back_as_it_was_shown(dock, movie, tmp_path):
    dock.controller.open(movie)
    dock.ready()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(specs(), st.booleans())
    def check(values, elsewhere):
        output = str(tmp_path / "out.zarr") if elsewhere else None
        spec = RunSpec(image=movie, output=output, **values)
        dock.form.setValue(spec)
        assert dock.form.value() == spec

    check()


def test_steps_are_added_from_the_menu_and_written_in_the_line(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    part = dock.form.objects
    dock.click(part.header)
    actions = {action.text(): action for action in part.steps.add_button.menu().actions()}
    actions["Expand"].trigger()
    actions["Split touching"].trigger()
    assert dock.form.value().steps == ("split=30", "expand=3")
    assert dock.controller.plan.steps[0].length == 30
    assert "split=30, expand=3" in part.header.text()
    dock.type(part.steps.line, "smooth=2, grow=1")
    assert "there is no step 'grow'" in part.problem("steps")
    assert not dock.bar.run_button.isEnabled()
    dock.type(part.steps.line, "smooth=1 um")
    dock.ready()
    assert dock.controller.plan.steps[0].length == 2.0
