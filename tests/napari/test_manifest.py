from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from napari.utils._proxies import PublicOnlyProxy
from npe2 import PluginManifest

from seamlabel.napari import sample_data

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manifest():
    return PluginManifest.from_file(ROOT / "src" / "seamlabel" / "napari" / "napari.yaml")


def test_the_manifest_is_valid_and_all_it_names_can_be_imported(manifest):
    manifest.validate_imports()
    assert {c.id for c in manifest.contributions.commands} >= {"seamlabel.open", "seamlabel.segment"}


def test_the_hub_finds_what_it_shows(manifest):
    # The napari hub reads the metadata of the package and the manifest; it has no files of its own.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Framework :: napari" in project["classifiers"]
    assert 20 < len(project["description"]) < 120
    assert (ROOT / project["readme"]).exists()
    assert project["keywords"]
    assert project["authors"]
    assert manifest.visibility == "public"
    assert manifest.icon
    assert {"Segmentation", "IO"} <= {str(one) for one in manifest.categories}


def test_the_manifest_at_the_top_is_the_one_in_the_package():
    top = ROOT / "napari.yaml"
    assert top.is_symlink()
    assert top.resolve() == ROOT / "src" / "seamlabel" / "napari" / "napari.yaml"


def test_the_command_in_the_segment_menu_opens_the_dock_with_the_active_image(make_napari_viewer, pixels):
    from seamlabel.napari.commands import open_dock, segment_layer
    from seamlabel.napari.widget import SeamlabelWidget

    viewer = make_napari_viewer()
    viewer.add_image(pixels, name="first")
    viewer.add_image(pixels, name="second")
    viewer.layers.selection.active = viewer.layers["first"]
    segment_layer(PublicOnlyProxy(viewer))  # as napari calls it
    widgets = viewer.window._qt_window.findChildren(SeamlabelWidget)
    assert len(widgets) == 1
    assert widgets[0].form.image.layer() is viewer.layers["first"]
    open_dock(viewer)
    assert len(viewer.window._qt_window.findChildren(SeamlabelWidget)) == 1


def palette(viewer):
    """Return napari's commands that are ours, by id."""
    from napari._app_model import get_app_model

    viewer.window  # noqa: B018  makes napari register them
    return {name: one for name, one in get_app_model().commands if name.startswith("seamlabel.")}


def execute(name):
    from napari._app_model import get_app_model

    return get_app_model().commands.execute_command(name).result()


def test_commands_of_the_palette_press_what_the_dock_has(make_napari_viewer, qtbot, pixels):
    from seamlabel.napari.widget import SeamlabelWidget

    viewer = make_napari_viewer()
    viewer.add_image(pixels)
    assert set(palette(viewer)) >= {"seamlabel.open", "seamlabel.run", "seamlabel.cancel"}
    execute("seamlabel.open")
    widget = viewer.window._qt_window.findChildren(SeamlabelWidget)[0]
    qtbot.waitUntil(widget.bar.run_button.isEnabled, timeout=5000)
    shown = widget.form.tiles.show_grid.isChecked()
    execute("seamlabel.toggle_tiles")
    assert widget.form.tiles.show_grid.isChecked() is not shown
    execute("seamlabel.run")
    assert widget.controller.run.active
    execute("seamlabel.cancel")
    qtbot.waitUntil(lambda: not widget.controller.run.active, timeout=20000)


def test_every_command_says_whose_it_is_once(make_napari_viewer):
    titles = {one.title for one in palette(make_napari_viewer()).values()}
    assert "Segment image in tiles (Seamlabel)" in titles
    assert not any(title.count("Seamlabel)") > 1 for title in titles)


def test_menus_have_the_commands(make_napari_viewer):
    from napari._app_model import get_app_model

    make_napari_viewer()
    menus = get_app_model().menus
    for menu, command in (
        ("napari/layers/segment", "seamlabel.segment"),
        ("napari/file/io_utilities", "seamlabel.open_image"),
    ):
        assert command in [item.command.id for item in menus.get_menu(menu) if hasattr(item, "command")]


def test_samples_are_written_once_and_know_their_path(monkeypatch, make_napari_viewer):
    from seamlabel.io.ngff.images import write_image
    from seamlabel.napari.layers.pictures import ome_zarr_path
    from seamlabel.testing.cells import Tissue

    written = []

    def small(path):
        from threading import current_thread, main_thread

        assert current_thread() is not main_thread()
        written.append(path)
        tissue = Tissue((16, 64, 64), "sparse", diameter=8)
        write_image(path, tissue.shape, "uint16", tissue.image, axes="zyx")

    monkeypatch.setitem(sample_data.WRITERS, "nuclei_3d", small)
    viewer = make_napari_viewer()
    viewer.open_sample("seamlabel", "nuclei_3d")
    sample_data.nuclei_3d()
    assert len(written) == 1
    assert ome_zarr_path(viewer.layers[0]) == str(sample_data.cache_folder() / "nuclei_3d.zarr")
    assert viewer.layers[0].axis_labels == ("z", "y", "x")
