"""Records to JSON documents and back. What comes back is checked: a ledger may have been edited by hand."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from mmcicd_jenkins.errors import IntegrityFailed

T = TypeVar("T")


def to_document(record: object) -> dict[str, Any]:
    """The fields of a frozen dataclass as JSON values."""
    plain = _plain(record)
    if not isinstance(plain, dict):
        raise TypeError(f"{type(record).__name__} is not a record")
    return plain


def _plain(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def from_document(kind: type[T], document: object, where: str) -> T:
    """Build `kind` from a document.

    Raises:
        IntegrityFailed: a field is missing, unknown or of the wrong type; names it and `where`.
    """
    value = _build(kind, document, where, "")
    return typing.cast("T", value)


def _fail(where: str, path: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        f"{where} is not what was written there",
        where=f"{where} {path}".strip(),
        why=why,
        fix="mmcicd-jenkins ledger verify",
    )


def _build(kind: Any, value: object, where: str, path: str) -> object:
    origin = typing.get_origin(kind)
    if kind is object or kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _build_optional(kind, value, where, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise _fail(where, path, f"expected a list, got {type(value).__name__}")
        item = typing.get_args(kind)[0]
        return tuple(_build(item, v, where, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _fail(where, path, f"expected an object, got {type(value).__name__}")
        item = typing.get_args(kind)[1]
        return {k: _build(item, v, where, f"{path}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return _build_record(kind, value, where, path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError as e:
            raise _fail(where, path, str(e)) from e
    return _build_scalar(kind, value, where, path)


def _build_optional(kind: Any, value: object, where: str, path: str) -> object:
    options = typing.get_args(kind)
    if value is None and type(None) in options:
        return None
    return _build(next(o for o in options if o is not type(None)), value, where, path)


def _build_scalar(kind: Any, value: object, where: str, path: str) -> object:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _fail(where, path, f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _build_record(kind: Any, value: object, where: str, path: str) -> object:
    if not isinstance(value, dict):
        raise _fail(where, path, f"expected an object, got {type(value).__name__}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise _fail(where, path, f"unknown field {unknown[0]}")
    built = {}
    for name, f in fields.items():
        if name in value:
            built[name] = _build(hints[name], value[name], where, f"{path}.{name}")
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise _fail(where, path, f"field {name} is missing")
    return kind(**built)
