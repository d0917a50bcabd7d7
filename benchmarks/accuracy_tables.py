"""Tables of the accuracy benchmark: from scores of single images to what people read.

Knows nothing of how anything was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.measure import Table
from benchmarks.scores import Scores, mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.accuracy import Sample
    from benchmarks.exactness import Exactness

    Noisy = Sequence[tuple[Sample, dict[str, Scores]]]

OURS, UPPER = "ours", "upper bound"
WANTED = {(2, "mild"): 0.995, (2, "strong"): 0.90, (3, "mild"): 0.92}
"""Mean seam F1 that ours must reach at an overlap of 1 D, by axes and noise."""
MARGIN = 0.01
"""Ours may be this much below the best other rule."""
COLUMNS = ("N", "ΔN", "F1 .5", "F1 .75", "F1 .9", "PQ", "merged", "split", "lost", "% identical", "CPU s")


def noisy_tables(noisy: Noisy) -> list[Table]:
    """Return the tables of rules against noise."""
    tables = [_main(noisy), _verdict(noisy), _tissues(noisy)]
    for ndim in (2, 3):
        tables += [_overlaps(noisy, ndim)]
        tables += [_details(noisy, ndim, noise) for noise in _levels(noisy)]
    return tables


def _levels(noisy: Noisy) -> list[str]:
    return list(dict.fromkeys(sample.noise for sample, _ in noisy if sample.factor == 1))


def _rules(noisy: Noisy) -> list[str]:
    return list(noisy[0][1])


def _mean(noisy: Noisy, rule: str, wanted: Callable[[Sample], bool]) -> Scores:
    return mean(found[rule] for sample, found in noisy if wanted(sample))


def _at(ndim: int, noise: str, factor: float = 1.0, tissue: str = "") -> Callable[[Sample], bool]:
    """Return whether a sample is of this number of axes, noise, overlap and tissue (all, if empty)."""

    def wanted(sample: Sample) -> bool:
        same = (sample.ndim, sample.noise, sample.factor) == (ndim, noise, factor)
        return same and tissue in ("", sample.tissue)

    return wanted


def _main(noisy: Noisy) -> Table:
    levels = _levels(noisy)
    columns = ("rule", *(f"{ndim}D {noise}" for ndim in (2, 3) for noise in levels))
    rows = [
        (rule, *(f"{_mean(noisy, rule, _at(n, z)).f50:.3f}" for n in (2, 3) for z in levels))
        for rule in _rules(noisy)
    ]
    return Table("Seam F1 at IoU .5, overlap 1 D", columns, rows)


def _verdict(noisy: Noisy) -> Table:
    """Return whether ours is good enough, and never more than `MARGIN` below the best other rule."""
    rows, worst = [], 1.0
    others = [rule for rule in _rules(noisy) if rule not in (OURS, UPPER)]
    for ndim in (2, 3):
        for noise in _levels(noisy):
            ours = _mean(noisy, OURS, _at(ndim, noise)).f50
            best, name = max((_mean(noisy, rule, _at(ndim, noise)).f50, rule) for rule in others)
            wanted = WANTED.get((ndim, noise))
            reached = "-" if wanted is None else f"{_yes(ours >= wanted)} (>= {wanted})"
            worst = min(worst, ours - best)
            numbers = (f"{ours:.3f}", f"{best:.3f}", name, f"{ours - best:+.3f}")
            rows.append((f"{ndim}D {noise}", *numbers, _yes(ours >= best - MARGIN), reached))
    note = f"Never more than {MARGIN} below the best rule: {_yes(worst >= -MARGIN)} (worst {worst:+.3f})."
    columns = ("noise", OURS, "best other", "which", "difference", "within .01", "target")
    return Table("Ours and the best other rule, seam F1 at IoU .5, overlap 1 D", columns, rows, (note,))


def _tissues(noisy: Noisy) -> Table:
    rows = []
    others = [rule for rule in _rules(noisy) if rule not in (OURS, UPPER)]
    tissues = list(dict.fromkeys(sample.tissue for sample, _ in noisy))
    for ndim in (2, 3):
        for noise in _levels(noisy):
            for tissue in tissues:
                at = _at(ndim, noise, tissue=tissue)
                best, name = max((_mean(noisy, rule, at).f50, rule) for rule in others)
                ours = _mean(noisy, OURS, at).f50
                numbers = (f"{_mean(noisy, UPPER, at).f50:.3f}", f"{ours:.3f}", f"{best:.3f}", name)
                rows.append((f"{ndim}D {noise}", tissue, *numbers, f"{ours - best:+.3f}"))
    columns = ("noise", "tissue", UPPER, OURS, "best other", "which", "difference")
    return Table("Seam F1 at IoU .5 by tissue, overlap 1 D", columns, rows)


def _overlaps(noisy: Noisy, ndim: int) -> Table:
    """Return F1 by overlap, of the first seed alone so that the columns are of the same images."""
    first = [(sample, found) for sample, found in noisy if sample.seed == 0 and sample.ndim == ndim]
    measured = {(sample.noise, sample.factor) for sample, _ in first}
    factors = sorted({factor for _, factor in measured})
    noises = [noise for noise in _levels(noisy) if (noise, 0.0) in measured]
    pairs = [(noise, factor) for noise in noises for factor in factors if (noise, factor) in measured]
    columns = ("rule", *(f"{noise} {_factor(factor)}" for noise, factor in pairs))
    rows = [
        (rule, *(f"{_mean(first, rule, _at(ndim, *pair)).f50:.3f}" for pair in pairs))
        for rule in _rules(noisy)
    ]
    return Table(f"{ndim}D: seam F1 at IoU .5 by overlap, first seed", columns, rows)


def _factor(factor: float | None) -> str:
    return "" if factor is None else f"{factor:g} D" if factor else "0"


def _details(noisy: Noisy, ndim: int, noise: str) -> Table:
    rows = [(rule, *_cells(_mean(noisy, rule, _at(ndim, noise)))) for rule in _rules(noisy)]
    return Table(f"{ndim}D, noise {noise}, overlap 1 D: mean per image", ("rule", *COLUMNS), rows)


def _cells(s: Scores) -> tuple[str, ...]:
    first = (f"{s.n:.1f}", f"{s.delta_n:+.1f}", *(f"{x:.3f}" for x in (s.f50, s.f75, s.f90, s.pq)))
    errors = tuple(f"{x:.1f}" for x in (s.merges, s.splits, s.lost))
    return (*first, *errors, f"{s.identical:.2f}", f"{s.cpu:.2f}")


def exact_tables(exact: Sequence[Exactness]) -> list[Table]:
    """Return our exactness by case, and how many cases each rule gets exactly."""
    factors = list(dict.fromkeys(e.factor for e in exact))
    cases = list(dict.fromkeys(e.case for e in exact))
    by = {(e.case, e.factor): e.identical[OURS] for e in exact}
    rows = [(case, *(_percent(by.get((case, factor))) for factor in factors)) for case in cases]
    good = sum(value == 100 for value in by.values())
    note = f"Exact: {good} of {len(by)}."
    columns = ("case", *(f"overlap {_factor(f)}" if f is not None else "overlap 16" for f in factors))
    data = {"exactness": [[e.case, e.factor, e.identical] for e in exact]}
    ours = Table("Ours with a perfect backend: % identical objects", columns, rows, (note,), data)
    perfect = [e for e in exact if not e.real]
    counts = [
        (
            rule,
            f"{sum(e.identical[rule] == 100 for e in perfect)} of {len(perfect)}",
            f"{min(e.identical[rule] for e in perfect):.1f}",
        )
        for rule in perfect[0].identical
    ]
    columns = ("rule", "exact cases", "% identical, worst case")
    return [ours, Table("Exact cases by rule, perfect backend", columns, counts)]


def _percent(value: float | None) -> str:
    return "" if value is None else "100" if value == 100 else f"{value:.2f}"


def watershed_table(watershed: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    """Return tiled watershed against untiled, mean by image."""
    rows = []
    for image in dict.fromkeys(name for name, _ in watershed):
        found = [scores for name, scores in watershed if name == image]
        for who in found[0]:
            failed = [scores[who] for scores in found if isinstance(scores[who], str)]
            if failed:
                rows.append((image, who, *("-",) * len(COLUMNS)))
                continue
            rows.append((image, who, *_cells(mean(scores[who] for scores in found))))
    notes = dict.fromkeys(
        f"{who}: {s}" for _, found in watershed for who, s in found.items() if isinstance(s, str)
    )
    title = "Watershed on noisy images, tiled against untiled"
    return Table(title, ("image", "who", *COLUMNS), rows, tuple(notes))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
