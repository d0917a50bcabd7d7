"""`HealthBox`: what happened where tiles meet, and whether the overlap is large enough for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from seamlabel.engine.advice import Need, overlap_need
from seamlabel.kernels.report import MOST
from seamlabel.napari.form.rows import Note, tool_button
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from seamlabel.kernels.report import MergeReport
    from seamlabel.napari.result.control import ResultControl
    from seamlabel.plan import Plan

FEW, SOME = 0.01, 0.05
"""Part of the objects at seams in question: up to the first all is good, above the second it is bad."""
KINDS = {"good": "good", "doubtful": "warning", "bad": "problem"}
"""Colours of the grades."""
CRITERIA = (
    "Counted are objects at seams that no tile sees whole, or that tiles see differently: of all at seams "
    f"up to {FEW:.0%} is good, up to {SOME:.0%} doubtful, more is bad"
)

Grade = Literal["good", "doubtful", "bad"]


def grade(report: MergeReport, need: Need | None) -> Grade:
    """Return how well the overlap does; see `CRITERIA`."""
    in_question = (need.n_objects if need else 0) + report.n_refused + report.n_dropped
    part = in_question / max(1, report.n_objects)
    if part <= FEW:
        return "good"
    return "doubtful" if part <= SOME else "bad"


def counts(report: MergeReport) -> list[tuple[str, str]]:
    """Return what happened at the seams, in words, each with an explanation."""
    more = "+" if report.doubtful.size == MOST else ""
    told = [
        (
            report.n_joined,
            f"{report.n_joined:,} matches",
            "Times that two tiles saw the same object, which is one object now",
        ),
        (
            report.n_refused,
            f"{report.n_refused:,} kept apart",
            "They look like one object, but a tile that sees the place better saw two",
        ),
        (
            report.n_dropped,
            f"{report.n_dropped:,} left out",
            "One tile saw an object near its border, where a tile that sees the place better saw none",
        ),
        (
            report.doubtful.size,
            f"{report.doubtful.size:,}{more} doubtful",
            "Tiles agree so little that they might as well be joined as not: look at them below",
        ),
    ]
    return [(text, tip) for number, text, tip in told if number or "matches" in text]


class HealthBox(QWidget):
    """Hidden where tiles do not meet, or nothing is known of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control: ResultControl | None = None
        self._wanted: tuple[int, ...] = ()
        self.grade = Note("good", self)
        self.counts = Note("muted", self)
        self.need = Note("warning", self)
        tip = "Enter this overlap above and run: it makes new labels, these stay"
        self.use = tool_button("Use and run again", tip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.counts)
        column.addWidget(self.grade)
        mend = QHBoxLayout()
        mend.setSpacing(6)
        mend.addWidget(self.need, 1)
        mend.addWidget(self.use, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(mend)
        self.use.clicked.connect(self._use)
        self.hide()

    def show_result(self, control: ResultControl) -> None:
        """Show what happened at the seams of the run."""
        self._control = control
        shown = control.shown
        report = shown.report if shown else None
        if report is None or not shown.path or not report.n_labels:
            self.hide()
            return
        need = overlap_need(shown.plan, report)
        self._tell(shown.plan, report, need)
        self.show()

    def _tell(self, plan: Plan, report: MergeReport, need: Need | None) -> None:
        told = counts(report)
        self.counts.say("At seams: " + " · ".join(text for text, _ in told))
        self.counts.setToolTip("\n".join(f"{text}: {tip}" for text, tip in told))
        verdict = grade(report, need)
        self.grade.say(f"Overlap: {verdict}", KINDS[verdict])
        self.grade.setToolTip(CRITERIA)
        self._wanted = larger(plan, need.overlap) if need else ()
        if need:
            axes = sorted(set(self._wanted))
            spans = f"{many(need.n_objects, 'object')} span{'s' * (need.n_objects == 1)} the whole overlap"
            self.need.say(f"{spans}: increase it to\u00a0{axes[-1]}")
        else:
            self.need.say("")
        self.use.setVisible(need is not None)

    def _use(self) -> None:
        self._control.form_wished.emit({"overlap": self._wanted}, True)


def larger(plan: Plan, overlap: int) -> tuple[int, ...]:
    """Return the overlap of the form's axes, at least this where tiles meet."""
    grid = plan.grid
    return tuple(
        max(now, overlap) if count > 1 else now
        for now, count, joined in zip(grid.overlap, grid.counts, plan.joined, strict=True)
        if joined
    )
