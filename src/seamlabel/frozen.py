"""`Frozen`: base of specs, whose errors name fields in plain words. Knows no field's meaning.

With `spec` the only module that imports pydantic.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seamlabel.errors import Problem, SpecError

_OTHER_TYPES = {"literal_error", "int_type", "tuple_type", "dict_type", "int_parsing", "float_parsing"}
_MESSAGES = {
    "greater_than_equal": "{input!r} is below {ge}",
    "greater_than": "{input!r} is not above {gt}",
    "less_than_equal": "{input!r} is above {le}",
    "literal_error": "{input!r} is not one of {expected}",
    "int_parsing": "{input!r} is not a whole number",
    "int_type": "{input!r} is not a whole number",
    "int_from_float": "{input!r} is not a whole number",
    "finite_number": "{input!r} is not a finite number",
    "string_pattern_mismatch": "{input!r} is not allowed",
    "string_too_long": "a name of more than {max_length} letters",
    "extra_forbidden": "unknown field",
    "rule": "{input!r} is not one of {expected}",
}


class Frozen(BaseModel):
    """Frozen, refusing unknown keys, raising `SpecError` instead of pydantic's own error.

    `fixes` says for a field how to mend what is wrong with it.
    """

    fixes: ClassVar[dict[str, str]] = {}

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_problems(error, type(self))) from None


def _problems(error: ValidationError, model: type[Frozen]) -> list[Problem]:
    """Return one problem per field; of a union's errors the one of the branch that came closest."""
    by_field: dict[str, Problem] = {}
    for item in sorted(error.errors(), key=lambda item: item["type"] in _OTHER_TYPES):
        field = str(item["loc"][0]) if item["loc"] else "spec"
        context = dict(item.get("ctx", {}))
        inner = context.get("error")
        if isinstance(inner, SpecError):  # of a part that is a spec itself
            for part in inner.problems:
                by_field[f"{field}.{part.field}"] = Problem(f"{field}.{part.field}", part.message, part.fix)
            continue
        template = _MESSAGES.get(item["type"], "{input!r}: {message}")
        message = template.format(
            **context, input=item["input"], message=item["msg"].removeprefix("Value error, ")
        )
        fix = model.fixes.get(field, "")
        if item["type"] == "extra_forbidden":
            fix = f"Known fields: {', '.join(model.model_fields)}"
        by_field.setdefault(field, Problem(field, message, fix))
    return list(by_field.values())
