from itertools import count

import pytest

from benchmarks.turns import alternate, exponent, extrapolated, growing, ratio, repeat, side_by_side


class Clock:
    """Goes on only where something works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def worker(self, seconds, log, name):
        durations = iter(seconds)

        def work():
            log.append(name)
            self.now += next(durations)

        return work


def test_sides_work_in_turns_and_the_first_turn_is_not_timed():
    clock, log = Clock(), []
    sides = {"a": clock.worker([100, 1, 2], log, "a"), "b": clock.worker([200, 3, 4], log, "b")}
    assert alternate(sides, turns=2, clock=clock) == {"a": [1, 2], "b": [3, 4]}
    assert log == ["a", "b"] * 3


def test_repeated_work_stops_when_its_budget_is_spent():
    clock = Clock()
    assert repeat(clock.worker([3, 3, 3], [], ""), turns=3, clock=clock) == [3, 3, 3]
    assert repeat(clock.worker([3, 3, 3], [], ""), turns=3, budget=5, clock=clock) == [3, 3]
    assert repeat(clock.worker([3], [], ""), turns=3, budget=0, clock=clock) == [3]


def test_one_slow_turn_does_not_change_the_ratio():
    assert ratio([2, 2, 90, 2, 2], [1, 1, 1, 1, 80]) == 2
    assert side_by_side([2, 2, 90], [1, 1, 1]) == "2 s to 1 s, medians of 3"


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_a_power_law(power):
    assert exponent([(n, 3.0 * n**power) for n in (10, 100, 1000)]) == pytest.approx(power)


def test_the_exponent_is_the_steepest():
    assert exponent([(10, 1.0), (100, 1.0), (1000, 100.0)]) == pytest.approx(2)


def test_a_size_that_would_take_too_long_is_not_measured():
    sizes = (10, 100, 1000, 10_000)
    assert list(growing(lambda n: n**2 / 100, sizes, budget=50_000)) == [(10, 1), (100, 100), (1000, 10_000)]
    assert list(growing(lambda n: n / 10, sizes, budget=50_000)) == [(n, n / 10) for n in sizes]


def test_the_first_two_sizes_are_measured_in_any_case():
    seconds = count(1000)
    assert list(growing(lambda _: next(seconds), (1, 2, 3), budget=0)) == [(1, 1000), (2, 1001)]


def test_a_cost_is_extrapolated_on_the_line_through_the_last_two():
    assert extrapolated([(1, 50.0), (10, 2.0), (20, 3.0)], 100) == pytest.approx(11)
