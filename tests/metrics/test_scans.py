import numpy as np
import pytest

from mriad.metrics import scans as module
from mriad.metrics.scans import Stack, are_volumes, parts, sampled


class Read:
    """One scan at a time, of which it is known how many were asked for."""

    def __init__(self, values):
        self.values, self.asked = values, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, row):
        self.asked.append(row)
        return self.values[row]


def test_a_stack_is_the_array_of_its_rows():
    values = np.random.default_rng(0).random((6, 2, 3, 4), dtype=np.float32)
    rows = np.array([4, 1, 5])
    stack = Stack.of(values, rows)
    assert stack.shape == (3, 2, 3, 4) and len(stack) == 3
    np.testing.assert_array_equal(np.asarray(stack), values[rows])
    np.testing.assert_array_equal(stack[1:], values[[1, 5]])
    np.testing.assert_array_equal(stack[2], values[5])
    np.testing.assert_array_equal(np.stack(list(stack)), values[rows])
    np.testing.assert_array_equal(Stack.of(stack, np.array([2, 0])), values[[5, 4]])
    assert np.asarray(Stack.of(values, rows[:0])).shape == (0, 2, 3, 4)


def test_a_stack_reads_what_it_is_asked_for_and_takes_none_for_zeros():
    read = Read([np.ones((2, 2), dtype=bool), None, np.eye(2, dtype=bool)])
    stack = Stack(values=read, rows=np.array([2, 1]), spatial=(2, 2), dtype=bool)
    assert stack[1].dtype == bool and not stack[1].any()
    assert read.asked == [1, 1]
    np.testing.assert_array_equal(np.asarray(stack), [np.eye(2), np.zeros((2, 2))])


@pytest.mark.parametrize(("shape", "step"), [((200, 128, 128), 64), ((3, 96, 128, 128), 1), ((5, 4, 4), 65536)])
def test_parts_hold_a_million_pixels_or_one_scan(shape, step):
    found = list(parts(np.broadcast_to(np.float32(0), shape)))
    assert found[0] == slice(0, step)
    assert np.concatenate([np.arange(shape[0])[part] for part in found]).tolist() == list(range(shape[0]))


def test_volumes_have_three_axes():
    assert are_volumes(np.zeros((1, 2, 2, 2))) and not are_volumes(np.zeros((1, 2, 2)))


def test_a_sample_is_all_where_that_is_few_and_else_spread_over_all_parts():
    values = [np.arange(start, start + 100, dtype=np.float32) for start in range(0, 1000, 100)]
    np.testing.assert_array_equal(sampled(iter(values), 1000), np.arange(1000))
    some = sampled(iter(values), 200)
    assert 200 / 3 <= len(some) <= 200
    assert all(((some >= start) & (some < start + 100)).sum() >= 9 for start in range(0, 1000, 100))
    assert module.sampled([], 5).shape == (0,)
