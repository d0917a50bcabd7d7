"""The file in which the dock keeps what it remembers."""

from __future__ import annotations

import pytest

from seamlabel.napari import settings


def test_what_is_saved_is_loaded_and_none_forgets_it():
    assert settings.load("a") is None
    settings.save("a", {"b": [1, 2.5, "c", None]})
    settings.save("d", True)
    assert settings.load("a") == {"b": [1, 2.5, "c", None]}
    settings.save("a", None)
    assert settings.load("a", {}) == {}
    assert settings.load("d") is True


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "\x00", "[" * 100_000, '{"a": 5}'])
def test_a_broken_file_counts_as_empty_and_is_replaced(text):
    settings.settings_path().write_text(text)
    assert settings.load("a", {}) == {}
    settings.save("a", {"b": 1})
    assert settings.load("a", {}) == {"b": 1}


def test_a_folder_that_cannot_be_made_stops_nobody(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEAMLABEL_CONFIG", str(tmp_path / "file" / "settings.json"))
    settings.save("a", 1)
    assert settings.load("a") is None


def test_the_file_lies_beside_napari_s_own(tmp_path, monkeypatch):
    monkeypatch.delenv("SEAMLABEL_CONFIG")
    assert settings.settings_path().name == "seamlabel.json"
