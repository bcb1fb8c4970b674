import numpy as np
import pytest
from grey_slices import LABELS, sized_slices

from mriad.data.batches import ScanDataset
from mriad.data.training.datasets import TrainDataset
from mriad.data.training.loading import loader
from mriad.data.training.samples import Samples


def scans(rows):
    return ScanDataset(scans=sized_slices(), labels=LABELS, rows=np.array(rows))


def train(rows):
    samples = Samples(cache=sized_slices(), rows=np.arange(len(LABELS)))
    return TrainDataset(samples=samples, labels=LABELS, order=np.array(rows))


def test_ranks_have_each_scan_once_between_them():
    dataset = scans([0, 1, 2])
    shares = [list(loader(dataset, batch_size=1, num_workers=0, rank=rank, ranks=2)) for rank in (0, 1)]
    assert [[batch["row"].tolist() for batch in share] for share in shares] == [[[0], [2]], [[1]]]


def test_a_last_batch_of_one_scan_is_left_out_of_what_a_rank_trains_on():
    dataset = train([0, 1, 2, 3, 0, 1])
    assert loader(dataset, batch_size=2, num_workers=0, shuffle=True, ranks=2).drop_last
    assert not loader(dataset, batch_size=2, num_workers=0, shuffle=True).drop_last


@pytest.mark.parametrize(("shuffle", "served"), [(True, 4), (False, 5)])
def test_only_training_leaves_out_a_last_batch_of_one_scan(shuffle, served):
    dataset = train([0, 1, 2, 3, 0])
    batches = list(loader(dataset, batch_size=2, num_workers=0, shuffle=shuffle))
    assert sum(len(batch["row"]) for batch in batches) == served
