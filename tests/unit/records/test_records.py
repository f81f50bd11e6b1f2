"""The shared dataclass methods: the same answers as the standard decorator's, made without compiling anything."""

import copy
import dataclasses
import functools
import pickle
from typing import ClassVar

import pytest

from mmcicd_jenkins.records import dataclass

standard = dataclasses.dataclass(frozen=True, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where something is."""

    unit: ClassVar[str] = "m"

    x: float
    y: float = 0.0
    names: list[str] = dataclasses.field(default_factory=list)

    @functools.cached_property
    def length(self):
        return (self.x**2 + self.y**2) ** 0.5


@dataclass(frozen=True, kw_only=True)
class Inner(Point):
    z: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Checked:
    share: float

    def __post_init__(self):
        if self.share > 1:
            raise ValueError(self.share)

    def __eq__(self, other):
        return isinstance(other, Checked)

    def __hash__(self):
        return 7

    def __repr__(self):
        return "a share"


def the_standard_one():
    @standard
    class Point:
        unit: ClassVar[str] = "m"
        x: float
        y: float = 0.0
        names: list[str] = dataclasses.field(default_factory=list)

    return Point


@pytest.mark.parametrize("values", [{}, {"y": 2.0}, {"x": 1.0, "w": 1}, {"w": 1}])
def test_values_that_miss_or_are_unknown_are_refused_as_the_standard_one_does(values):
    for kind in (Point, the_standard_one()):
        with pytest.raises(TypeError, match=r"'x'|'w'"):
            kind(**values)


def test_nothing_is_given_by_position():
    with pytest.raises(TypeError):
        Point(1.0)


def test_defaults_are_made_anew_for_each():
    first, second = Point(x=1.0), Point(x=1.0)
    first.names.append("a")
    assert (first.y, second.names) == (0.0, [])


def test_values_make_equal_and_a_different_class_does_not():
    assert Point(x=1.0, y=2.0) == Point(y=2.0, x=1.0) != Point(x=1.0)
    assert Point(x=1.0) != Inner(x=1.0)
    assert Point(x=1.0) != the_standard_one()(x=1.0)
    assert Point(x=1.0) != (1.0, 0.0, [])


def test_what_was_worked_out_meanwhile_changes_nothing():
    point = Point(x=3.0, y=4.0)
    assert point.length == 5.0
    assert point == Point(x=3.0, y=4.0)
    assert "length" not in repr(point)


def test_it_is_shown_as_the_standard_one():
    assert repr(Point(x=1.0)) == "Point(x=1.0, y=0.0, names=[])"
    assert repr(the_standard_one()(x=1.0)).endswith(repr(Point(x=1.0)))


def test_equal_ones_hash_equally_and_what_cannot_be_hashed_says_so():
    assert len({Inner(x=1.0, names=()), Inner(x=1.0, names=())}) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(x=1.0))


def test_nothing_can_be_changed_or_taken_away():
    point = Point(x=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.other = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert point.x == 1.0


def test_the_library_of_the_standard_one_knows_it():
    inner = Inner(x=1.0, names=["a"])
    assert dataclasses.is_dataclass(Inner)
    assert [field.name for field in dataclasses.fields(Inner)] == ["x", "y", "names", "z"]
    assert dataclasses.asdict(inner) == {"x": 1.0, "y": 0.0, "names": ["a"], "z": 1.0}
    assert dataclasses.replace(inner, z=2.0) == Inner(x=1.0, names=["a"], z=2.0)
    with pytest.raises(TypeError, match="'w'"):
        dataclasses.replace(inner, w=2.0)


def test_copies_and_pickles_are_equal():
    point = Point(x=1.0, names=["a"])
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point  # noqa: S301  our own


def test_methods_that_a_class_writes_itself_stay():
    with pytest.raises(ValueError, match="2"):
        Checked(share=2)
    assert Checked(share=0.1) == Checked(share=0.2)
    assert repr(Checked(share=0.1)) == "a share"
    assert hash(Checked(share=0.1)) == 7


def test_what_the_standard_decorator_refuses_is_refused():
    with pytest.raises(ValueError, match="mutable default"):

        @dataclass(frozen=True, kw_only=True)
        class Wrong:
            names: list[str] = []  # noqa: RUF012  what is refused


def test_only_frozen_and_by_keyword():
    with pytest.raises(TypeError):
        dataclass(frozen=True)
