"""What every part of the schema is made of: strict sections, and fields that explain themselves.

A field is declared once, with what it means and an example. The checker, the JSON Schema, the reference
page and `config explain` are made from that declaration. Defaults stand in their written form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticUndefined

from mmcicd_jenkins.config import forms
from mmcicd_jenkins.release.rules import Rule


@dataclass(frozen=True)
class Kind:
    """How a kind of value is called, for people. Rides on the annotation of a field."""

    words: str


class Section(BaseModel):
    """A mapping of the file. `shorthand` names the field whose text may stand alone for the whole, or whose
    list when `shorthand_list` says so.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, defer_build=True, validate_default=True
    )
    shorthand: ClassVar[str] = ""
    shorthand_list: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def expand(cls, value: Any) -> Any:
        alone = isinstance(value, str) or (cls.shorthand_list and isinstance(value, list))
        return {cls.shorthand: value} if cls.shorthand and alone else value


def key(default: Any, meaning: str, example: Any, **limits: Any) -> Any:
    """A field with a default, in its written form. None: nothing is set."""
    return Field(default, description=meaning, examples=[example], **limits)


def required(meaning: str, example: Any, **limits: Any) -> Any:
    """A field that must be written."""
    return Field(PydanticUndefined, description=meaning, examples=[example], **limits)


def _checked(parse: Callable[[object], object]) -> Callable[[object], object]:
    def check(value: object) -> object:
        try:
            return parse(value)
        except forms.FormError as e:
            facts = {"what": e.what, "fix": e.fix, "column": e.column, "width": e.width}
            raise PydanticCustomError("form", "{what}", facts) from e

    return check


def _several(value: object) -> object:
    """One value may stand for a list of one; strict tuples are made from the lists that YAML knows."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _written(parse: Callable[[object], object], schema: dict[str, Any], words: str) -> tuple[Any, ...]:
    return (PlainValidator(_checked(parse)), WithJsonSchema(schema), Kind(words))


_DURATION = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$"}
_SIZE = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(Ki|Mi|Gi|Ti)$"}
_SHARE = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)? ?%$"}

Text = Annotated[str, Field(min_length=1), Kind("text")]
Whole = Annotated[int, Kind("whole number")]
Number = Annotated[float, Field(allow_inf_nan=False), Kind("number")]
Truth = Annotated[bool, Kind("true or false")]
Duration = Annotated[float, *_written(forms.duration, _DURATION, "duration")]
Size = Annotated[int, *_written(forms.size, _SIZE, "size")]
Share = Annotated[float, *_written(forms.share, _SHARE, "share")]
Gate = Annotated[Rule, *_written(forms.rule, {"type": "string"}, "rule")]
CanaryStep = Annotated[forms.Step, *_written(forms.step, {"type": "string"}, "canary step")]

Texts = Annotated[tuple[Text, ...], BeforeValidator(_several), Kind("list of texts")]
Gates = Annotated[tuple[Gate, ...], BeforeValidator(_several), Kind("list of rules")]
Steps = Annotated[tuple[CanaryStep, ...], BeforeValidator(_several), Kind("list of canary steps")]
