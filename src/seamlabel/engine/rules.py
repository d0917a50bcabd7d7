"""Which function judges the pairs of a merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamlabel.kernels.seams import IouRule, any_contact

if TYPE_CHECKING:
    from seamlabel.protocols import SeamRule
    from seamlabel.spec import MergeSpec


def seam_rule(merge: MergeSpec) -> SeamRule:
    """Return the rule that a spec names."""
    return any_contact if merge.rule == "touching" else IouRule(merge.iou)
