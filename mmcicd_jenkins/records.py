"""`dataclass(frozen=True, kw_only=True)` for the whole house: the standard one, without its cost at start-up.

The standard decorator writes six methods for each class and compiles them when the class is made; with a hundred
classes a command waits longer for that than for its work. Here the methods are written once and shared. Checkers
see the standard decorator, and `dataclasses.fields`, `replace` and `asdict` take these classes for what they are.
What is not frozen and by keyword alone is made with `dataclasses.dataclass`.
"""

from dataclasses import MISSING, FrozenInstanceError, fields
from dataclasses import dataclass as standard
from typing import TYPE_CHECKING, Any, Literal

__all__ = ["dataclass"]


def _init(self: Any, **values: Any) -> None:
    kind = type(self)
    if values.keys() != kind.__record_names__:
        values = _completed(kind, values)
    self.__dict__.update(values)
    if hasattr(kind, "__post_init__"):
        self.__post_init__()


def _completed(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        if name not in kind.__record_names__:
            raise TypeError(f"{kind.__name__}() got an unexpected keyword argument {name!r}")
    for field in fields(kind):
        if field.name in values:
            continue
        if field.default is not MISSING:
            values[field.name] = field.default
        elif field.default_factory is not MISSING:
            values[field.name] = field.default_factory()
        else:
            raise TypeError(f"{kind.__name__}() misses the keyword argument {field.name!r}")
    return values


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__record_names__])


def _repr(self: Any) -> str:
    # A field with `repr=False` is a secret: tracebacks and test reports print these.
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _setattr(self: Any, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to {name!r} of {type(self).__name__}")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete {name!r} of {type(self).__name__}")


_SHARED = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
}


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: Literal[True], kw_only: Literal[True]) -> Any:  # noqa: ARG001  read by checkers and people
        """As `dataclasses.dataclass`; a method that the class writes itself stays."""
        return _make


def _make(kind: Any) -> Any:
    own = set(vars(kind))
    # Without one the standard decorator writes down the signature, and imports half a compiler for it.
    kind.__doc__ = kind.__doc__ or kind.__name__
    kind = standard(init=False, repr=False, eq=False, kw_only=True)(kind)
    kind.__record_names__ = {field.name: None for field in fields(kind)}.keys()
    for name, method in _SHARED.items():
        if name not in own or (name == "__hash__" and vars(kind)[name] is None):
            setattr(kind, name, method)
    return kind
