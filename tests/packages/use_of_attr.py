"""Tests of attrs, run traced and untraced by `test_suites.py`: some pass, some fail, one is skipped."""

import copy
import pickle
import sys
import traceback
import warnings

import attr
import pytest


@attr.s(auto_attribs=True, order=True)
class Point:
    x: int
    y: int = attr.ib(default=2, validator=attr.validators.instance_of(int))


@attr.s(frozen=True, slots=True)
class Frozen:
    held = attr.ib(factory=list, converter=list)


@pytest.mark.parametrize("n", range(5))
def test_made(n):
    assert attr.asdict(Point(n)) == {"x": n, "y": 2}
    assert Point(n) < Point(n + 1) and hash(Frozen.__init__)


def test_frozen():
    with pytest.raises(attr.exceptions.FrozenInstanceError):
        Frozen().held = 1


def test_validator():
    with pytest.raises(TypeError, match="must be <class 'int'>"):
        Point(1, "y")


def test_evolve_copy_pickle():
    point = attr.evolve(Point(1), x=3)
    assert copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == Point(3)


def test_repr_of_a_cycle():
    point = Point(1)
    point.x = point
    assert repr(point) == "Point(x=..., y=2)"


def test_traceback_has_the_frames_of_the_program_only():
    try:
        Point(1, "y")
    except TypeError as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[0] == "test_traceback_has_the_frames_of_the_program_only"
    assert len(names) == 3


def test_stack_and_recursion():
    def depth(n):
        return n if n > 100 else depth(n + 1)

    assert depth(0) == 101
    assert sys._getframe(0).f_code.co_name == "test_stack_and_recursion"


def test_warnings_and_output(capsys):
    with pytest.warns(UserWarning, match="careful"):
        warnings.warn("careful", stacklevel=1)
    print(Point(1))
    assert capsys.readouterr().out == "Point(x=1, y=2)\n"


def test_that_fails():
    assert Point(1).y == 3


def test_that_errs():
    Point()


@pytest.mark.skip(reason="not now")
def test_skipped():
    raise AssertionError


@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert Point(1) == Point(2)


class TestGroup:
    @pytest.fixture(autouse=True)
    def made(self):
        self.point = Point(7)
        yield
        assert self.point.x == 7

    def test_fields(self):
        assert [field.name for field in attr.fields(Point)] == ["x", "y"]
        assert self.point == Point(7)
