"""Which function judges the pairs of a merge; a user's own is tried before it is relied on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import BackendError, Problem, SpecError
from seamlabel.functions import load_function, target_of
from seamlabel.kernels.seams import IouRule, any_contact
from seamlabel.spec import MergeSpec, RunSpec

if TYPE_CHECKING:
    from seamlabel.protocols import SeamRule

_DEFAULT_IOU = MergeSpec().iou
_MISTAKES = ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError
"""What a function that does not fit its arguments raises."""
_PURPOSE = "takes three arrays (common, one, other) and returns an array of truths"
_FIX = "Let it return one truth per pair: common >= 0.3 * (one + other - common)"
_TRIALS = np.array([[4, 4, 4], [2, 4, 6], [1, 9, 1]], np.int64), np.zeros((0, 3), np.int64)
"""Pairs of fragments to try a rule on: alike, half alike, hardly alike; and none."""


def merge_fields(merge: Any, z_link: float | None = None) -> tuple[dict[str, Any], SeamRule | None]:
    """Return the fields of the spec that was given as merge, and the rule if that is a function.

    Parameters
    ----------
    merge : MergeSpec, dict, str or callable
        The spec, its fields, the name of a rule, or ``rule(common, one, other)``.
    z_link : float, optional
        Used where the spec does not say it.

    Raises
    ------
    SpecError
        If a threshold other than the default is given for a rule that has none. The default passes:
        in a spec that was read from JSON every field is given.
    """
    rule = merge if callable(merge) else None
    if isinstance(merge, MergeSpec):
        merge = merge.model_dump()
    fields = dict(merge) if isinstance(merge, dict) else {"rule": target_of(rule) if rule else merge}
    if fields.get("z_link") is None:
        fields["z_link"] = z_link
    if fields.get("iou", _DEFAULT_IOU) != _DEFAULT_IOU:
        wishes: dict[str, Any] = {"merge": fields}
        check_threshold(RunSpec(**wishes).merge)
    return fields, rule


def check_threshold(merge: MergeSpec) -> None:
    """Raise if the rule has no threshold; for those who were given one.

    Raises
    ------
    SpecError
        If `iou` does not count for the rule.
    """
    if not merge.has_threshold:
        message = f"the rule '{merge.rule}' has no such threshold"
        raise SpecError([Problem("merge.iou", message, "Leave it out")])


def seam_rule(merge: MergeSpec, given: SeamRule | None = None) -> SeamRule:
    """Return the rule that a spec names; a function is tried on a few pairs first.

    Parameters
    ----------
    merge : MergeSpec
        Names the rule.
    given : callable, optional
        Used instead, if the rule is a function.

    Raises
    ------
    SpecError
        If the function cannot be loaded, fails, or returns something else than one truth per pair.
    """
    if merge.rule == "touching":
        return any_contact
    if not merge.custom:
        return IouRule(merge.iou)
    rule: SeamRule | None = given
    if rule is None:
        try:
            rule = load_function(merge.rule, purpose=_PURPOSE)
        except BackendError as error:
            raise SpecError([Problem("merge.rule", str(error), error.hint)]) from error
    for trial in _TRIALS:
        wrong = _wrong(rule, trial)
        if wrong:
            raise SpecError([Problem("merge.rule", f"'{merge.rule}' {wrong}", _FIX)])
    return rule


def _wrong(rule: SeamRule, pairs: np.ndarray[Any, Any]) -> str:
    """Return what is wrong with a rule's answer for these pairs; nothing if it can be used."""
    try:
        answer: Any = rule(*pairs.T.copy())
    except _MISTAKES as error:
        return f"raised {type(error).__name__}: {error}"
    if not isinstance(answer, np.ndarray):
        return f"returned {answer!r}, which is no array"
    if answer.shape != (len(pairs),):
        return f"returned an array of shape {answer.shape} for {len(pairs)} pairs"
    return "" if answer.dtype == bool else f"returned {answer.dtype}, not bool"
