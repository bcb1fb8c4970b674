from torch import distributed

from mriad.ranks import gather, gather_on_first, is_first


def test_a_process_alone_is_the_first_and_has_its_own_part():
    assert is_first()
    assert gather("mine") == gather_on_first("mine") == ["mine"]


def test_parts_come_by_rank(on_two_ranks):
    def work(rank):
        distributed.init_process_group("gloo")
        part = ["a", ["b", "more than the other"]][rank]
        return gather(part), gather_on_first(part)

    both = ["a", ["b", "more than the other"]]
    assert on_two_ranks(work) == [(both, both), (both, [])]
