"""`Launcher`: what Run and the buttons of an unfinished run begin. Between form, row, canvas and run.

The engine has the last word on whether a run may go on; what can be known before is told before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seamlabel.errors import SeamlabelError
from seamlabel.napari.run.finder import Finder
from seamlabel.napari.run.leftover import listed
from seamlabel.napari.run.progress import many

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from seamlabel.napari.form.form import Form
    from seamlabel.napari.layers.canvas import Canvas
    from seamlabel.napari.result.shown import Shown
    from seamlabel.napari.run.leftover import Leftover
    from seamlabel.napari.run.run_bar import RunBar
    from seamlabel.napari.run.run_control import RunControl
    from seamlabel.napari.tiles.grid_control import GridControl
    from seamlabel.napari.tiles.tile_states import TileStates
    from seamlabel.plan import Plan


class Launcher:
    """Begins runs of one dock.

    Parameters
    ----------
    form : Form
        What is asked for.
    bar : RunBar
        Has the button Run and the row of unfinished runs.
    grid : GridControl
        Places tiles.
    canvas : Canvas
        Knows their states.
    run : RunControl
        Carries out.
    begins : callable
        Called before anything begins.
    """

    def __init__(
        self,
        form: Form,
        bar: RunBar,
        grid: GridControl,
        canvas: Canvas,
        run: RunControl,
        begins: Callable[[], None],
    ) -> None:
        self._form, self._bar, self._row = form, bar, bar.unfinished
        self._grid, self._canvas, self._run, self._begins = grid, canvas, run, begins
        self._plan: Plan | None = None
        self._left: Leftover | None = None
        self._refusal: tuple[str, str, bool] | None = None
        self._refused_for: Plan | None = None
        self._before: TileStates | None = None
        self.finder = Finder()
        self._row.resume_requested.connect(self.resume)
        self._row.accept_requested.connect(lambda: self.resume(accept=True))
        self._row.start_over_requested.connect(self.start_over)
        self._row.show_requested.connect(self.show)
        run.on_refusal = self._refused

    def follow(self, plan: Plan | None) -> Plan | None:
        """Tell of the unfinished run that a plan would meet.

        Returns
        -------
        Plan or None
            The plan that Run carries out: that of the unfinished run, if it is of the same request.
        """
        if plan is None or self._refused_for is None or plan.spec != self._refused_for.spec:
            self._refusal = None
        self._plan = plan
        self._left = self.finder.find(plan.run_dir) if plan is not None and plan.run_dir else None
        going_on = self._same()
        self._bar.offer_resume(going_on is not None)
        self._tell()
        return going_on or plan

    def start(self) -> None:
        """Do what Run says: go on with an unfinished run of the same request, or begin one."""
        plan, left = self._plan, self._own()
        if plan is None or self._run.active:
            return
        going_on = self._same()
        if left is not None and going_on is None and not left.trouble:
            differ = left.differences(plan)
            what = left.trouble_on(plan) or (f"These settings are others: {listed(differ)}" if differ else "")
            if what:
                self._refuse(f"Nothing was run: {_of_how_many(left)} are from another run", what)
            else:
                self.resume()  # says why it cannot go on
            return
        self._carry_out(going_on or plan)

    def resume(self, accept: bool = False) -> None:
        """Go on with the unfinished run as it was asked for; with `accept` although the method changed."""
        if (plan := self._as_asked()) is not None:
            self._carry_out(plan, accept=accept)

    def start_over(self) -> None:
        """Remove the unfinished run, and run what the form says."""
        if self._plan is not None and not self._run.active:
            self._carry_out(self._plan, unfinished="restart")

    @property
    def found(self) -> bool:
        """Whether there is an unfinished run where the form's run would be."""
        return self._own() is not None

    def again(self, shown: Shown) -> None:
        """Try tiles again that failed in a run whose tiles are in a folder that the form does not know."""
        self._prepare(shown.plan)
        self._run.start(replace(shown.plan, run_dir=shown.run_dir), shown.array, shown.saved)

    def show(self) -> None:
        """Show the finished tiles of the unfinished run."""
        left = self._left
        if left is None or self._plan is None or self._run.active:
            return
        try:
            plan = left.resumed(self._plan.spec)
        except SeamlabelError as error:
            self._explain(error)
            return
        self._prepare(plan)
        self._run.show(plan, left.run)

    # -- how ------------------------------------------------------------------------------------

    def _own(self) -> Leftover | None:
        """Return the unfinished run, if it is in the folder that the plan would take."""
        plan, left = self._plan, self._left
        return left if plan and left and str(left.run.path) == plan.run_dir else None

    def _same(self) -> Plan | None:
        """Return the plan to go on with, if the unfinished run is of the request of the form."""
        plan, left = self._plan, self._own()
        if plan is None or left is None or left.trouble_on(plan) or left.differences(plan):
            return None
        try:
            return left.resumed(plan.spec)
        except SeamlabelError:  # told when it is asked for
            return None

    def _as_asked(self) -> Plan | None:
        """Return the plan of the unfinished run, with the form showing it."""
        left, plan = self._left, self._plan
        if left is None or left.stored is None or plan is None or self._run.active:
            return None
        if (same := self._same()) is not None:
            return same
        spec = left.stored.asked.replace(image=plan.spec.image, output=plan.spec.output)
        try:
            going_on = left.resumed(spec)
        except SeamlabelError as error:
            self._explain(error)
            return None
        self._form.setValue(spec)
        return going_on

    def _carry_out(
        self, plan: Plan, unfinished: Literal["resume", "restart"] = "resume", accept: bool = False
    ) -> None:
        image = self._form.image
        if image.picture is None:
            return
        self._prepare(plan)
        array = image.picture.at(image.level_index())[1]
        save = self._form.save
        mask, keep = image.mask(), save.keep()
        self._run.start(plan, array, not save.temporary(), unfinished, accept, mask, keep)

    def _prepare(self, plan: Plan) -> None:
        """Place the tiles of a plan, and say that something begins."""
        self._begins()
        self._before = self._canvas.states
        self._refusal = None
        self._row.hide()
        image = self._form.image
        self._form.tiles.show_plan(plan)
        self._grid.place(plan, image.picture, image.level_index())

    # -- what is told ---------------------------------------------------------------------------

    def _refused(self, error: BaseException) -> bool:
        """Take in that the engine did not go on with the unfinished run; return whether the row tells it."""
        if not isinstance(error, SeamlabelError) or self._own() is None:
            return False
        self._put_back()
        self._explain(error)
        return True

    def _explain(self, error: SeamlabelError) -> None:
        """Say in the row why there is no going on."""
        assert self._left is not None
        tiles = _of_how_many(self._left)
        what = "; ".join(getattr(error, "differ", ()))
        if what and getattr(error, "code_only", False):
            more = f"{tiles} were done before that"
            self._refuse(f"Nothing was run: {what}", more, can_keep=True)
        elif what:
            self._refuse(f"Nothing was run: {tiles} are from another run", _sentence(what))
        else:
            self._refuse(_sentence(str(error)), error.hint)

    def _put_back(self) -> None:
        """Show the tiles as they were before something was begun that did not begin."""
        before, now, self._before = self._before, self._canvas.states, None
        if before is not None and now is not None and before.grid == now.grid:
            self._grid.put_back(before)

    def _refuse(self, text: str, more: str, can_keep: bool = False) -> None:
        """Say in the row that nothing was run, until the form asks for something else."""
        self._refusal, self._refused_for = (text, more, can_keep), self._plan
        self._tell()

    def _tell(self) -> None:
        """Show the row for what is known now."""
        left, plan = self._left, self._plan
        if left is None or plan is None:
            self._row.hide()
            return
        own = self._own() is not None
        trouble = left.trouble_on(plan)
        offers = []
        if not trouble:
            offers = [] if self._listed(left) else ["retry" if left.all_tried else "resume"]
        if self._refusal is not None and self._refusal[2]:
            offers = ["accept"]
        offers += ["start over"] * (own and not left.busy)
        offers += ["show"] * (left.stored is not None and (left.busy or not trouble))
        if self._refusal is not None:
            text, more = self._refusal[:2]
        else:
            text, more = self._found(own), trouble or self._reasons()
        self._row.tell(text, more, left.run.done, offers)

    def _listed(self, left: Leftover) -> bool:
        """Return whether failed tiles are all that is left, and the result lists them with a button Retry."""
        ours = str(left.run.path) == self._run.run_dir and bool(self._run.progress.failures)
        return left.all_tried and ours

    def _found(self, own: bool) -> str:
        assert self._left is not None
        name = "" if own else f" '{self._left.run.path.name}'"
        failed = f", {len(self._left.run.failed):,} failed" if self._left.run.failed else ""
        return f"Unfinished run{name} found: {_of_how_many(self._left)}{failed}"

    def _reasons(self) -> str:
        """Return why tiles failed, if nothing above says so; and in what the form differs."""
        assert self._left is not None
        assert self._plan is not None
        lines = []
        if self._left.run.failed and not self._run.progress.failures:
            lines.append(self._left.reasons())
        if self._own() is not None and (differ := self._left.differences(self._plan)):
            lines.append(f"The form asks for something else: {listed(differ)}")
        return "\n".join(lines)


def _of_how_many(left: Leftover) -> str:
    if not left.run.total:
        return many(left.run.done, "tile")
    return f"{left.run.done:,} of {many(left.run.total, 'tile')}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
