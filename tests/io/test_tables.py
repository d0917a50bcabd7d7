from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamlabel.errors import OutputError
from seamlabel.io import tables
from seamlabel.io.tables import check_table, read_table, write_table

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
COLUMNS = st.integers(0, 20).flatmap(
    lambda n: st.lists(
        st.one_of(
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n).map(
                lambda v: np.array(v, np.int64)
            ),
            st.lists(st.floats(), min_size=n, max_size=n).map(lambda v: np.array(v, np.float64)),
            st.lists(st.floats(width=32), min_size=n, max_size=n).map(lambda v: np.array(v, np.float32)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(lambda v: np.array(v, bool)),
        ),
        min_size=1,
        max_size=5,
    )
)


@given(columns=COLUMNS, names=st.lists(NAMES, min_size=5, max_size=5, unique=True))
def test_numbers_and_names_come_back_as_they_were(tmp_path_factory, columns, names):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    table = dict(zip(names, columns, strict=False))
    write_table(path, table)
    found = read_table(path)
    assert list(found) == list(table)
    for name, column in table.items():
        assert np.array_equal(found[name].astype(column.dtype), column, equal_nan=column.dtype.kind == "f")
        if column.size and column.dtype.kind != "f":
            assert found[name].dtype == column.dtype


def test_ids_beyond_63_bits_are_kept_exactly(tmp_path):
    ids = np.array([1, 2**53 + 1, 2**64 - 1], np.uint64)
    write_table(tmp_path / "t.csv", {"id": ids})
    found = read_table(tmp_path / "t.csv")["id"]
    assert found.dtype == np.uint64
    assert found.tolist() == ids.tolist()


def test_a_table_of_no_objects_has_its_columns(tmp_path):
    write_table(tmp_path / "t.csv", {"id": np.zeros(0, np.uint32), "mean_DAPI": np.zeros(0)})
    assert (tmp_path / "t.csv").read_text() == "id,mean_DAPI\n"
    found = read_table(tmp_path / "t.csv")
    assert {name: column.size for name, column in found.items()} == {"id": 0, "mean_DAPI": 0}


def test_odd_channel_names_are_quoted_as_other_programs_expect(tmp_path):
    name = 'mean_GFP, "488 nm"\n(µ) '
    write_table(tmp_path / "t.csv", {"id": np.array([1]), name: np.array([0.1])})
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"id": "1", name: "0.1"}]
    assert list(read_table(tmp_path / "t.csv")) == ["id", name]


def test_tables_longer_than_a_block_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 7)
    table = {"id": np.arange(1, 24), "x": np.arange(23) / 3}
    write_table(tmp_path / "t.csv", table)
    found = read_table(tmp_path / "t.csv")
    assert all(np.array_equal(found[name], table[name]) for name in table)


def test_text_columns_come_back_as_text(tmp_path):
    write_table(tmp_path / "t.csv", {"name": np.array(["a,b", "", "3\r"])})
    assert read_table(tmp_path / "t.csv")["name"].tolist() == ["a,b", "", "3\r"]


def test_a_write_that_fails_leaves_the_old_table_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write_table(path, {"id": np.array([1])})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_table(path, {"id": np.array([1, 2])})
    assert caught.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]
    assert path.read_text() == "id\n1\n"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    for use in (check_table, lambda path: write_table(path, {"id": np.array([1])})):
        with pytest.raises(OutputError, match="cannot write the table") as caught:
            use(tmp_path / "no" / "t.csv")
        assert caught.value.hint
    check_table(tmp_path / "t.csv")


def test_an_ending_that_is_no_table_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(OutputError, match=r"t\.xlsx") as caught:
        write_table(tmp_path / "t.xlsx", {"id": np.array([1])})
    assert ".csv or .parquet" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_columns_of_several_lengths_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'b' \(3,\)"):
        write_table(tmp_path / "t.csv", {"a": np.zeros(2), "b": np.zeros(3)})


def test_parquet_without_pyarrow_names_the_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for use in (check_table, lambda path: write_table(path, {"id": np.array([1])})):
        with pytest.raises(OutputError, match="pyarrow") as caught:
            use(tmp_path / "t.parquet")
        assert "seamlabel[parquet]" in caught.value.hint


def test_parquet_keeps_types_and_values(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {
        "id": np.array([1, 2**64 - 1], np.uint64),
        'mean_"a", b': np.array([0.1, np.nan]),
        "at_border": np.array([True, False]),
    }
    write_table(tmp_path / "t.parquet", table)
    found = parquet.read_table(tmp_path / "t.parquet")
    assert found.column_names == list(table)
    for name, column in table.items():
        back = found.column(name).to_numpy(zero_copy_only=False)
        assert back.dtype == column.dtype
        assert np.array_equal(back, column, equal_nan=column.dtype.kind == "f")
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_row_that_is_too_short_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(ValueError, match="row 3 has 1 values"):
        read_table(tmp_path / "t.csv")
