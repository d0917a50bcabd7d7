"""A label beside others: replaced only when whole, removed without a trace, listed with the rest."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import zarr

from seamlabel.errors import OutputError
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import open_labels

VERSIONS = ["0.4", "0.5"]


def ngff(group):
    """Return the NGFF attributes of a group, read by zarr alone."""
    attributes = dict(zarr.open_group(str(group), mode="r", use_consolidated=False).attrs)
    return attributes.get("ome", attributes)


@pytest.mark.parametrize("consolidated", [False, True], ids=["plain", "consolidated"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_label_is_read_until_the_new_one_is_whole(bench, judge, version, consolidated):
    image = bench.image("tcyx", version, consolidated=consolidated)
    old = bench.commit(bench.plan(image), value=3)
    sink = bench.write(bench.plan(image, overwrite=True), value=5)
    assert (np.asarray(open_labels(old)[0]) == 3).all()
    sink.commit()
    assert (np.asarray(open_labels(old)[0]) == 5).all()
    judge(image, old, version)
    assert sorted(p.name for p in old.iterdir() if p.is_dir()) == ["2.0", "2.1"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_abort_leaves_the_store_as_it_was(bench, version):
    image = bench.image("yx", version)
    before = sorted(image.rglob("*"))
    bench.write(bench.plan(image)).abort()
    assert sorted(image.rglob("*")) == before

    old = bench.commit(bench.plan(image), value=3)
    before = {path: path.read_bytes() for path in image.rglob("*") if path.is_file()}
    bench.write(bench.plan(image, overwrite=True), value=5).abort()
    assert {path: path.read_bytes() for path in image.rglob("*") if path.is_file()} == before
    assert (np.asarray(open_labels(old)[1]) == 3).all()


def test_an_abort_spares_a_label_that_somebody_else_wrote_meanwhile(bench):
    image = bench.image()
    sink = bench.write(bench.plan(image, "mine"))
    bench.commit(bench.plan(image, "theirs"))
    sink.abort()
    assert open_image(image).info.labels == ("theirs",)
    assert not Path(sink.path).exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_label_is_invisible_while_it_is_written(bench, judge, version):
    image = bench.image("yx", version)
    first = bench.commit(bench.plan(image, "first"))
    sink = bench.write(bench.plan(image, "second"))
    assert open_image(image).info.labels == ("first",)
    judge(image, first, version)
    sink.commit()
    assert open_image(image).info.labels == ("first", "second")


@pytest.mark.parametrize("version", VERSIONS)
def test_entries_and_labels_of_other_programs_are_kept(bench, version):
    image = bench.image("yx", version)
    labels = zarr.create_group(str(image / "labels"), zarr_format=3 if version == "0.5" else 2)
    listed = ["group/nested", "elsewhere"]
    other = {"labels": listed, "note": 1}
    labels.attrs.update(
        {"ome": {"version": "0.5", **other}, "mine": 2} if version == "0.5" else {**other, "mine": 2}
    )
    nested = labels.create_group("group").create_group("nested")
    nested.create_array("0", data=np.ones((3, 3), "uint8"))
    bench.commit(bench.plan(image))
    bench.commit(bench.plan(image, "group"))
    assert ngff(image / "labels")["labels"] == [*listed, "cells", "group"]
    assert ngff(image / "labels")["note"] == 1
    assert zarr.open_group(str(image / "labels"), mode="r").attrs["mine"] == 2
    bench.commit(bench.plan(image, "group", overwrite=True))
    assert (nested["0"][:] == 1).all()


def test_arrays_of_another_program_are_replaced_with_their_label(bench):
    image = bench.image()
    old = bench.commit(bench.plan(image), value=3)
    for level in "01":
        (old / f"1.{level}").rename(old / level)
    document = (old / "zarr.json").read_text().replace('"1.', '"')
    (old / "zarr.json").write_text(document)
    assert (np.asarray(open_labels(old)[0]) == 3).all()
    bench.commit(bench.plan(image, overwrite=True), value=5)
    assert sorted(p.name for p in old.iterdir() if p.is_dir()) == ["1.0", "1.1"]
    assert (np.asarray(open_labels(old)[0]) == 5).all()


def test_a_label_group_with_consolidated_metadata_of_its_own_shows_the_new_arrays(bench):
    for version in VERSIONS:
        image = bench.image("yx", version, name=f"{version}.zarr")
        label = bench.commit(bench.plan(image), value=3)
        zarr.consolidate_metadata(str(label))
        bench.commit(bench.plan(image, overwrite=True), value=5)
        group = zarr.open_group(str(label), mode="r")
        assert (group["2.0"][:] == 5).all()


def test_a_label_that_appeared_since_planning_is_not_replaced_unasked(bench):
    image = bench.image()
    late = bench.plan(image, min_size=3)
    label = bench.commit(bench.plan(image), value=3)
    with pytest.raises(OutputError, match="exists"):
        open_sink(late).begin("uint32", ((16, 16), (16, 16)))
    assert (np.asarray(open_labels(label)[0]) == 3).all()


def test_a_run_killed_between_commit_and_listing_can_write_again(bench):
    image = bench.image()
    plan = bench.plan(image)
    bench.commit(plan, value=3)
    label = bench.commit(plan, value=3)
    assert (np.asarray(open_labels(label)[0]) == 3).all()


def test_many_labels_written_at_once_are_all_listed(bench):
    image = bench.image("yx", "0.5", consolidated=True)
    plans = [bench.plan(image, f"label{i}") for i in range(8)]
    threads = [threading.Thread(target=bench.commit, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {plan.spec.name for plan in plans}
    assert set(open_image(image).info.labels) == names
    listed = zarr.open_group(str(image), mode="r", use_consolidated=True)["labels"].attrs["ome"]["labels"]
    assert set(listed) == names
    assert not list(image.rglob("*.lock"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_labels_group_with_consolidated_metadata_of_its_own_stays_consolidated(bench, version):
    image = bench.image("yx", version)
    bench.commit(bench.plan(image, "first"))
    zarr.consolidate_metadata(str(image / "labels"))
    bench.commit(bench.plan(image, "second"))
    group = zarr.open_group(str(image / "labels"), mode="r", use_consolidated=True)
    assert {"first/1.0", "second/1.0"} <= set(dict(group.members(max_depth=None)))
    assert dict(group.attrs).get("ome", group.attrs)["labels"] == ["first", "second"]
