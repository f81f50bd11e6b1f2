"""What every part of the schema is made of: strict sections, and fields that explain themselves.

A field is declared once, with what it means and an example. The checker, the JSON Schema, the reference
page and `config explain` are made from that declaration. Defaults stand in their written form.

The checker is pydantic-core's, the library under pydantic. pydantic itself would read these declarations too, in
four times the time that all other work of a small command takes; only `config schema` waits for it.
"""

import typing
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, ClassVar, Self

from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from mmcicd_jenkins.config import forms
from mmcicd_jenkins.release.rules import Rule

_STRICT = core_schema.CoreConfig(strict=True, extra_fields_behavior="forbid", validate_default=True)


class Kind:
    """How a kind of value is called, for people, and how it is checked. Rides on the annotation of a field."""

    def __init__(self, words: str, schema: core_schema.CoreSchema | None = None) -> None:
        self.words = words
        self.schema = schema


class Field:
    """A declared key of a section. `name` is that of the attribute, `written` the one in the file."""

    def __init__(
        self, meaning: str, example: object, alias: str, limits: Mapping[str, float], default: object = ...
    ) -> None:
        self.meaning = meaning
        self.example = example
        self.is_required = default is ...
        self.default = None if self.is_required else default
        self.name = self.written = alias
        self.annotation: Any = None
        self._limits = limits

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.written = self.written or name
        self.annotation = owner.__annotations__[name]

    def core_schema(self) -> core_schema.ModelField:
        """How pydantic-core checks it."""
        schema = _limited(_schema_of(self.annotation), self._limits)
        if not self.is_required:
            schema = core_schema.with_default_schema(schema, default=self.default)
        about = {"description": self.meaning, "examples": [self.example]}
        return core_schema.model_field(schema, validation_alias=self.written, metadata=about)


class Section:
    """A mapping of the file. `shorthand` names the field whose text may stand alone for the whole, or whose
    list when `shorthand_list` says so.
    """

    # What pydantic-core fills in.
    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")

    shorthand: ClassVar[str] = ""
    shorthand_list: ClassVar[bool] = False
    # What pydantic reads of a class when it makes the JSON Schema.
    model_config: ClassVar[dict[str, str]] = {"extra": "forbid"}
    fields: ClassVar[dict[str, Field]]
    _checker: ClassVar[SchemaValidator | None] = None

    def __init_subclass__(cls) -> None:
        cls.fields = {field.written: field for field in vars(cls).values() if isinstance(field, Field)}
        cls._checker = None

    @property
    def written(self) -> set[str]:
        """The attributes whose keys stand in the file."""
        names: set[str] = self.__pydantic_fields_set__  # type: ignore[attr-defined]
        return names

    @classmethod
    def checked(cls, value: object) -> Self:
        """The section that a mapping says.

        Raises:
            pydantic_core.ValidationError: with every value that is wrong.
        """
        if cls._checker is None:
            cls._checker = SchemaValidator(cls.core_schema())
        section: Self = cls._checker.validate_python(value)
        return section

    @classmethod
    def core_schema(cls) -> core_schema.CoreSchema:
        """How pydantic-core checks it."""
        fields = {field.name: field.core_schema() for field in cls.fields.values()}
        model = core_schema.model_schema(
            cls, core_schema.model_fields_schema(fields), config=_STRICT, ref=cls.__name__
        )
        return core_schema.no_info_before_validator_function(cls._expand, model)

    @classmethod
    def _expand(cls, value: object) -> object:
        alone = isinstance(value, str) or (cls.shorthand_list and isinstance(value, list))
        return {cls.shorthand: value} if cls.shorthand and alone else value


def key(default: object, meaning: str, example: object, *, alias: str = "", **limits: float) -> Any:
    """A field with a default, in its written form. None: nothing is set."""
    return Field(meaning, example, alias, limits, default)


def required(meaning: str, example: object, **limits: float) -> Any:
    """A field that must be written."""
    return Field(meaning, example, "", limits)


def _schema_of(annotation: Any) -> core_schema.CoreSchema:
    """pydantic-core's words for what our annotations say; a kind of value brings its own."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        kind = next(m for m in annotation.__metadata__ if isinstance(m, Kind))
        return kind.schema or _schema_of(inside[0])
    if NoneType in inside:
        return core_schema.nullable_schema(_schema_of(inside[0]))
    if origin is typing.Literal:
        return core_schema.literal_schema(list(inside))
    if origin is dict:
        return core_schema.dict_schema(_schema_of(inside[0]), _schema_of(inside[1]))
    if origin is list:
        return core_schema.list_schema(_schema_of(inside[0]))
    if annotation is Any:
        return core_schema.any_schema()
    if annotation is str:
        return core_schema.str_schema()
    schema: core_schema.CoreSchema = annotation.core_schema()
    return schema


def _limited(schema: Any, limits: Mapping[str, float]) -> Any:
    """Limits belong to the value itself, inside what may stand around it."""
    if not limits:
        return schema
    if schema["type"] in {"nullable", "function-before"}:
        return {**schema, "schema": _limited(schema["schema"], limits)}
    return {**schema, **limits}


def _form(
    words: str, parse: Callable[[object], object], written: core_schema.CoreSchema | None = None
) -> Kind:
    """A kind of value with a written form; `written` is what editors are told of it."""

    def check(value: object) -> object:
        try:
            return parse(value)
        except forms.FormError as e:
            facts = {"what": e.what, "fix": e.fix, "column": e.column, "width": e.width}
            raise PydanticCustomError("form", "{what}", facts) from e

    editors = written or core_schema.str_schema()
    schema = core_schema.no_info_plain_validator_function(check, json_schema_input_schema=editors)
    return Kind(words, schema)


def _several(words: str, of: Kind) -> Kind:
    """One value may stand for a list of one; strict tuples are made from the lists that YAML knows."""

    def as_tuple(value: object) -> object:
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else value

    items = core_schema.tuple_variable_schema(of.schema)
    return Kind(words, core_schema.no_info_before_validator_function(as_tuple, items))


def _pattern(pattern: str) -> core_schema.CoreSchema:
    return core_schema.str_schema(pattern=pattern)


_TEXT = Kind("text", core_schema.str_schema(min_length=1))
_RULE = _form("rule", forms.rule)
_STEP = _form("canary step", forms.step)
_DURATION = _form("duration", forms.duration, _pattern(r"^\d+(\.\d+)? ?(ms|s|m|h|d)$"))
_SIZE = _form("size", forms.size, _pattern(r"^\d+(\.\d+)? ?(Ki|Mi|Gi|Ti)$"))
_SHARE = _form(
    "share",
    forms.share,
    core_schema.union_schema([_pattern(r"^\d+(\.\d+)? ?%$"), core_schema.float_schema()]),
)

# Five fields of Jenkins' cron, in which H spreads jobs over the hour; or one of its names.
_CRON = Kind(
    "schedule",
    _pattern(
        r"^(@(hourly|midnight|daily|weekly|monthly)|[H\d*/,()-]+ [H\d*/,()-]+ [H\d*/,()-]+ [H\d*/,()-]+ [H\d*/,()-]+)$"
    ),
)

Text = Annotated[str, _TEXT]
Cron = Annotated[str, _CRON]
Whole = Annotated[int, Kind("whole number", core_schema.int_schema())]
Number = Annotated[float, Kind("number", core_schema.float_schema(allow_inf_nan=False))]
Truth = Annotated[bool, Kind("true or false", core_schema.bool_schema())]
Duration = Annotated[float, _DURATION]
Size = Annotated[int, _SIZE]
Share = Annotated[float, _SHARE]
Gate = Annotated[Rule, _RULE]
CanaryStep = Annotated[forms.Step, _STEP]

Texts = Annotated[tuple[Text, ...], _several("list of texts", _TEXT)]
Gates = Annotated[tuple[Gate, ...], _several("list of rules", _RULE)]
Steps = Annotated[tuple[CanaryStep, ...], _several("list of canary steps", _STEP)]
