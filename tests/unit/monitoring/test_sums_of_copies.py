"""What is remembered of copies that come, go and begin anew: sums that only rise and never count a request twice.

We test these aspects: a first look, new copies, copies that are gone, restarts, copies that are not ready, another
version, how much is kept of a month, and windows by what is kept.
"""

import dataclasses
import functools
import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.counters import Reading
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.monitor_memory import (
    Asked,
    Counted,
    Memory,
    Point,
    Watched,
    counted,
    lengths,
    pointed,
    remembered,
)

HOUR = 3600.0


def copy(name, answered=0, *, failed=0, began=0.0, restarts=0, asked=True, version=2):
    reading = Reading(
        at=0.0, version=version, ready=asked, answered=answered, failed=failed, restarts=restarts
    )
    return Counted(copy=name, began=began, reading=reading, asked=asked)


def looked(*looks, version=2, start=1000.0, step=60.0):
    """The memory after these looks, one a minute."""
    memory = Memory()
    for number, copies in enumerate(looks):
        memory = counted(memory, copies, version, start + number * step, most=HOUR)
    return memory


def requests(memory, seconds=HOUR, version=2):
    now = memory.looked
    seen = Watched(readings=memory.readings, version=version, now=now).last(seconds)
    return None if seen is None else (seen.answered, seen.failed)


def test_what_was_counted_before_the_first_look_is_not_new():
    assert requests(looked([copy("a", 500, failed=90)])) is None
    assert requests(looked([copy("a", 500, failed=90)], [copy("a", 510, failed=91)])) == (10, 1)


def test_a_copy_that_began_since_the_last_look_counts_whole():
    memory = looked([copy("a", 500)], [copy("a", 510), copy("b", 7, began=1030.0)])
    assert requests(memory) == (17, 0)


def test_an_old_copy_that_is_seen_for_the_first_time_adds_nothing_for_the_past():
    memory = looked(
        [copy("a", 500)],
        [copy("a", 510), copy("b", 9000, failed=5000, began=10.0)],
        [copy("a", 510), copy("b", 9003, failed=5001, began=10.0)],
    )
    assert requests(memory) == (13, 1)


def test_a_copy_that_is_gone_takes_nothing_with_it():
    memory = looked([copy("a", 500), copy("b", 400)], [copy("a", 510)], [copy("a", 520)])
    assert requests(memory) == (20, 0)


def test_a_copy_that_began_anew_counts_from_zero_though_it_is_ahead_already():
    memory = looked([copy("a", 5)], [copy("a", 30, restarts=1)])
    assert requests(memory) == (30, 0)
    assert memory.readings[-1].restarts == 1


def test_a_copy_that_is_not_ready_keeps_what_it_counted():
    memory = looked([copy("a", 500)], [copy("a", asked=False)], [copy("a", 530)])
    assert requests(memory) == (30, 0)


def test_a_copy_that_dies_again_and_again_is_counted_by_its_restarts():
    memory = looked(*([copy("a", asked=False, restarts=n)] for n in range(6)))
    assert memory.readings[-1].restarts == 5
    memory = looked([copy("a", 10)], *([copy("a", asked=False, restarts=n)] for n in range(1, 6)))
    assert memory.readings[-1].restarts == 5


def test_an_old_copy_that_becomes_ready_adds_nothing_for_the_past():
    memory = looked([copy("a", asked=False)], [copy("a", 9000, failed=5000)], [copy("a", 9001, failed=5000)])
    assert requests(memory) == (1, 0)


def test_a_new_copy_that_becomes_ready_counts_whole():
    memory = looked(
        [copy("a", 5)], [copy("a", 5), copy("b", asked=False, began=1030.0)], [copy("b", 40, began=1030.0)]
    )
    assert requests(memory) == (40, 0)


def test_a_version_that_came_while_somebody_watched_has_no_blind_first_minutes():
    memory = looked([copy("old", 800, version=1)], version=1)
    memory = counted(memory, [copy("new", 3, failed=900, began=1020.0)], 2, 1060.0, most=HOUR, before=1)
    assert requests(memory) == (3, 900)


def test_the_past_of_a_third_version_is_dropped():
    memory = looked([copy("a", 1, version=1)], [copy("a", 2, version=1)], version=1)
    memory = counted(memory, [copy("b", 1)], 2, 2000.0, most=HOUR, before=1)
    memory = counted(memory, [copy("c", 1, version=3)], 3, 3000.0, most=HOUR, before=2)
    assert {reading.version for reading in memory.readings} == {2, 3}


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans()), max_size=4),
        min_size=2,
        max_size=12,
    )
)
def test_nothing_is_counted_twice_whatever_copies_do(script):
    """Copies serve, begin anew or go; the sum is never more than what was really answered since the first look."""
    alive: dict[str, tuple[int, int, float]] = {}
    memory, truth, now = Memory(), 0, 1000.0
    for turn, moves in enumerate(script):
        now += 60
        for slot, answered, restarts in moves:
            name = f"copy-{slot}"
            count, begun, began = alive.get(name, (0, 0, now - 1))
            if restarts:
                count, begun = 0, begun + 1
            alive[name] = (count + answered, begun, began)
            truth += answered if turn else 0
        seen = [copy(n, c, began=b, restarts=r) for n, (c, r, b) in alive.items()]
        memory = counted(memory, seen, 2, now, most=10 * HOUR)
    told = requests(memory, 10 * HOUR)
    assert (told[0] if told else 0) <= truth


@functools.cache
def month(every, longest):
    """Thirty days of looks, with TensorFlow Serving's thirty-three buckets."""
    memory, seen = Memory(), copy("a")
    buckets = [0] * 33
    draw = random.Random(3)
    points = ()
    for number in range(int(30 * 24 * HOUR / every)):
        now = 1e9 + number * every
        buckets[draw.randrange(33)] += 40
        reading = dataclasses.replace(
            seen.reading,
            answered=40 * (number + 1),
            latency=tuple(buckets),
            bounds=tuple(1e-5 * 1.8**k for k in range(33)),
        )
        seen = dataclasses.replace(seen, reading=reading)
        memory = counted(memory, [seen], 2, now, most=longest)
        points = pointed(points, Point(at=now, requests=40, bad=0, p99=0.1), now, 24 * HOUR)
    return dataclasses.replace(memory, points=points)


@pytest.mark.parametrize(("every", "longest"), [(300.0, 6 * HOUR), (300.0, 72 * HOUR)])
def test_a_month_is_remembered_in_little_room(every, longest):
    memory = month(every, longest)
    packed = zlib.compress(json.dumps(to_document(memory)).encode(), 9)
    assert len(memory.readings) < 700
    assert len(packed) * 4 / 3 < 128 * 1024
    assert from_document(Memory, json.loads(json.dumps(to_document(memory))), "memory") == memory


@pytest.mark.parametrize("seconds", [300.0, HOUR, 6 * HOUR, 72 * HOUR])
def test_windows_are_as_long_as_they_say(seconds):
    memory = month(300.0, 72 * HOUR)
    told, _ = requests(memory, seconds)
    assert told == pytest.approx(40 * seconds / 300.0, rel=0.04, abs=40)


def test_points_that_lie_close_become_one_and_lose_nothing():
    points = ()
    for minute in range(2000):
        points = pointed(points, Point(at=minute * 60.0, requests=10, bad=1, p99=0.1), minute * 60.0, 1e9)
    assert sum(p.requests for p in points) == 20_000
    assert len(points) < 700


def test_the_windows_that_a_history_is_asked_for():
    asked = lengths(6 * HOUR, 300.0, [HOUR, 300.0], age=2 * HOUR, since=280.0)
    assert {300.0, HOUR, 280.0} <= set(asked)
    assert max(asked) == 2 * HOUR


def test_a_history_answers_by_the_longest_window_that_fits():
    from mmcicd_jenkins.release.counters import Window

    watched = Watched(readings=(), version=2, now=10_000.0)
    asked = Asked(
        windows={300.0: Window(seconds=300, answered=3), 280.0: Window(seconds=280)}, watched=watched
    )
    assert asked.last(300.0).answered == 3
    assert asked.last(300.0, since=9_720.0).seconds == 280
    assert asked.last(HOUR).answered == 3
    assert asked.last(100.0) is None


@pytest.mark.parametrize("document", [None, {}, {"readings": 3}, {"unknown": []}])
def test_a_memory_that_cannot_be_read_is_forgotten(document):
    assert remembered(document, 2) == Memory()


def test_of_another_version_nothing_but_its_numbers_is_remembered():
    memory = dataclasses.replace(looked([copy("a", 1)]), action="alert", short_since=5.0)
    kept = json.loads(json.dumps(to_document(memory)))
    assert remembered(kept, 2).action == "alert"
    assert remembered(kept, 3) == Memory(readings=memory.readings, looked=memory.looked, points=memory.points)
