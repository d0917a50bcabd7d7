from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from benchmarks import accuracy, accuracy_tables, cells, exactness, tissues
from benchmarks.noise import Noise, Sizes, tile_labels
from benchmarks.rules import RULES, upper_bound
from benchmarks.scores import near_borders, overlaps, score
from scipy import ndimage

from seamlabel import TileGrid
from seamlabel.testing import same_partition

TINY = accuracy.Setting(
    {2: (130, 150), 3: (26, 40, 44)}, {2: (60, 64), 3: (14, 24, 24)}, 1, 150, 64, exactness.QUICK[-1:]
)
SHAPES = [(150, 170), (30, 40, 50)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", tissues.TISSUES)
def test_a_tissue_is_a_function_of_its_seed_and_its_objects_are_connected(kind, shape):
    labels = tissues.make(kind, shape, 3)
    assert np.array_equal(labels, tissues.make(kind, shape, 3))
    assert not np.array_equal(labels, tissues.make(kind, shape, 4))
    assert same_partition(labels, tissues.connected(labels))
    assert labels.max() > 2


def test_fibres_are_thin_and_some_are_longer_than_a_tile():
    labels = tissues.make("fibres", (600, 600), 0)
    longest = max(max(s.stop - s.start for s in box) for box in ndimage.find_objects(labels))
    assert longest > 232
    assert tissues.thickness(labels) < 12


def test_sizes_span_a_factor_of_ten():
    labels = tissues.make("sizes", (1024, 1024), 0)
    widths = [max(s.stop - s.start for s in box) for box in ndimage.find_objects(labels)]
    assert max(widths) > 8 * min(widths)


@pytest.mark.parametrize("shape", SHAPES)
def test_diameter_and_thickness_are_those_of_a_ball(shape):
    out = np.zeros(shape, np.int32)
    place = np.ogrid[tuple(slice(n) for n in shape)]
    out[sum((p - 15) ** 2 for p in place) <= 10**2] = 1
    assert tissues.diameter(out) == pytest.approx(20, rel=0.05)
    assert tissues.thickness(out) == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_perfect_backend_gives_the_truth_of_the_read_box_in_connected_pieces(shape):
    truth = tissues.make("fibres", shape, 0)
    grid = TileGrid(shape, tuple(n // 2 + 3 for n in shape), (4,) * len(shape))
    tiles = tile_labels(truth, grid, Noise(), Sizes.of(truth), 0)
    for tile, labels in zip(grid, tiles, strict=True):
        assert same_partition(labels, tissues.connected(truth[tile.read.slices]))


def test_noise_is_the_same_in_every_run_and_another_in_every_tile():
    truth = np.tile(tissues.make("voronoi", (100, 100), 0), (1, 2))
    grid = TileGrid(truth.shape, (100, 100), (0, 0))
    noise = Noise(jitter=0.1, drop=0.2, split=0.2, merge=0.2)
    tiles = tile_labels(truth, grid, noise, Sizes.of(truth), 1)
    again = tile_labels(truth, grid, noise, Sizes.of(truth), 1)
    assert all(np.array_equal(a, b) for a, b in zip(tiles, again, strict=True))
    assert not same_partition(tiles[0], tiles[1])


@pytest.mark.parametrize("what", ["drop", "split", "merge"])
def test_only_objects_that_an_artificial_face_cuts_are_dropped_split_or_merged(what):
    truth = tissues.make("voronoi", (120, 240), 0)
    grid = TileGrid(truth.shape, (120, 120), (0, 0))
    first, _ = tile_labels(truth, grid, Noise(**{what: 1.0}), Sizes.of(truth), 0)
    seen = truth[:, :120]
    cut = np.isin(seen, np.unique(seen[:, -1]))
    assert not same_partition(first, tissues.connected(seen))
    if what == "merge":  # what a cut object is merged into is changed, too
        assert len(np.unique(first)) < len(np.unique(seen))
    else:
        assert same_partition(np.where(cut, 0, first), np.where(cut, 0, seen))
    whole = TileGrid(truth.shape, truth.shape, (0, 0))
    alone = tile_labels(truth, whole, Noise(**{what: 1.0}), Sizes.of(truth), 0)[0]
    assert same_partition(alone, truth)


def test_scores_of_the_truth_are_perfect_whatever_the_names():
    truth = tissues.make("islands", (150, 170), 0)
    names = np.random.default_rng(0).permutation(truth.max()) + 1
    scores = score(truth, np.concatenate([[0], names])[truth], TileGrid(truth.shape, (64, 64), (0, 0)))
    assert (scores.f50, scores.f90, scores.pq, scores.identical) == (1, 1, 1, 100)
    assert (scores.delta_n, scores.merges, scores.splits, scores.lost) == (0, 0, 0, 0)


@pytest.fixture
def bars():
    """Six bars of 4 x 10 in a column; a core border runs through all at x = 10, but for the last."""
    truth = np.zeros((36, 24), np.int32)
    for i in range(6):
        truth[6 * i : 6 * i + 4, 5:15] = i + 1
    truth[30:] = 0
    truth[30:34, 0:5] = 6
    return truth, TileGrid(truth.shape, (36, 10), (0, 0))


def test_split_merged_and_lost_objects_are_counted(bars):
    truth, grid = bars
    found = truth.copy()
    found[0:4, 10:15] = 7  # split in halves
    found[found == 3] = 2  # merged
    found[found == 4] = 0  # lost
    scores = score(truth, found, grid)
    assert (scores.n, scores.delta_n) == (5, -1)
    assert (scores.splits, scores.merges, scores.lost) == (1, 1, 1)
    assert scores.identical == pytest.approx(100 * 2 / 6)
    # seam objects: true 1-5, found 1, 7, 2, 5; of halves and merged ones none has an IoU over .5
    assert scores.f50 == pytest.approx(2 * (1 / 5) * (1 / 4) / (1 / 5 + 1 / 4))


def test_objects_away_from_the_seams_count_for_quality_but_not_for_seam_f1(bars):
    truth, grid = bars
    found = np.where(truth == 6, 0, truth)
    scores = score(truth, found, grid)
    assert near_borders(truth, grid).tolist() == [False, *[True] * 5, False]
    assert scores.f50 == 1
    assert scores.pq < 1


def test_overlaps_count_voxels_of_every_pair():
    a, b = np.random.default_rng(0).integers(0, 3, (2, 20, 20))
    pairs, counts = overlaps(a, b)
    for (i, j), n in zip(pairs, counts, strict=True):
        assert n == ((a == i) & (b == j)).sum()
    assert counts.sum() == a.size


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_right_for_objects_apart_and_smaller_than_the_overlap(rule):
    truth = np.zeros((90, 90), np.int32)
    for i, (y, x) in enumerate(np.ndindex(9, 9)):
        truth[10 * y + 2 : 10 * y + 8, 10 * x + 2 : 10 * x + 8] = i + 1
    grid = TileGrid(truth.shape, (35, 35), (10, 10))
    tiles = tile_labels(truth, grid, Noise(), Sizes.of(truth), 0)
    assert same_partition(RULES[rule](tiles, grid), truth)


def test_rules_differ_as_they_are_known_to():
    truth = tissues.make("voronoi", (200, 200), 0)
    grid = TileGrid(truth.shape, (40, 40), (12, 12))
    tiles = tile_labels(truth, grid, Noise(), Sizes.of(truth), 0)
    assert same_partition(RULES["ours"](tiles, grid), truth)
    assert same_partition(upper_bound(tiles, grid, truth), truth)
    assert len(np.unique(RULES["touching"](tiles, grid))) < 0.7 * truth.max()  # glues all that touch
    assert len(np.unique(RULES["responsible block"](tiles, grid))) > len(np.unique(truth))


def test_tables_say_who_is_best_and_whether_ours_is_good_enough():
    chosen = [sample for sample in accuracy.samples(TINY) if sample.tissue == "voronoi"]
    noisy = [(sample, accuracy.measure(sample, TINY)) for sample in chosen]
    tables = accuracy_tables.noisy_tables(noisy)
    assert len(tables) == 3 + 2 * 4
    main, verdict = tables[:2]
    assert dict(zip(main.columns, main.rows[1], strict=True))["2D none"] == "1.000"
    assert [row[0] for row in main.rows] == ["upper bound", *RULES]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert "Never more than 0.01 below the best rule" in verdict.notes[0]
    none = {rule: replace(s, f50=0.5 if rule == "ours" else 0.9) for rule, s in noisy[0][1].items()}
    worse = accuracy_tables.noisy_tables([(sample, none) for sample in chosen])[1]
    assert {row[5] for row in worse.rows} == {"no"}
    assert ": no (worst -0.400)" in worse.notes[0]


def test_an_exact_case_is_exact_with_the_perfect_and_the_real_backend():
    found = [exactness.measure(case, 0.0) for case in (exactness.QUICK[0], exactness.QUICK[-1])]
    assert [e.identical["ours"] for e in found] == [100, 100]
    ours, rules = accuracy_tables.exact_tables(found)
    assert ours.notes == ("Exact: 2 of 2.",)
    assert rules.rows[0][1] == "1 of 1"


def test_the_watershed_runs_without_the_peer_and_says_so():
    found = cells.measure("foam", 150, 80, 0, sys.executable)
    assert found["ours, overlap 64"].identical == 100
    table = accuracy_tables.watershed_table([("foam", found)])
    if isinstance(found["patchworks IoU, overlap 64"], str):
        assert "patchworks" in table.notes[0]
        assert table.rows[-1][2] == "-"


def test_scores_are_plain_numbers_that_can_be_saved_as_json(bars):
    truth, grid = bars
    assert all(type(value) in (int, float) for value in vars(score(truth, truth, grid)).values())
