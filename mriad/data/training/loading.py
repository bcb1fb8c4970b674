"""Loaders: which samples come together, in which order, and in which process they are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mriad.data.batches import ScanBatch, ScanDataset
from mriad.data.training.datasets import DeviceTrainDataset, SeededIndices, TrainBatch, TrainDataset
from mriad.data.training.patches import PatchDataset

Batch: TypeAlias = ScanBatch | TrainBatch
TrainData: TypeAlias = TrainDataset | DeviceTrainDataset | PatchDataset


def loader(
    dataset: ScanDataset | TrainData,
    *,
    batch_size: int,
    num_workers: int,
    shuffle: bool = False,
    rank: int = 0,
    ranks: int = 1,
) -> DataLoader[Batch]:
    """Batches of a data set that fetches them whole; shuffled, a last batch of one scan is left out.

    Of several ranks each has its own scans of one that is not shuffled, each scan once. A shuffled one Lightning deals
    out anew each epoch, and repeats scans where they cannot be dealt out evenly.
    """
    share = -(-len(dataset) // ranks)
    alone = share > batch_size and share % batch_size == 1
    own = None
    if ranks > 1 and not shuffle:
        own = UnrepeatedDistributedSampler(dataset, num_replicas=ranks, rank=rank, shuffle=False)
    workers: dict[str, Any] = {"num_workers": num_workers, "persistent_workers": num_workers > 0}
    drop_last = shuffle and alone  # batch normalisation cannot train on one scan
    if shuffle and num_workers > 0:
        order = _SeededBatches(RandomSampler(dataset), batch_size, drop_last)
        theirs = torch.Generator()  # seeds the processes, which are started once for many epochs
        return DataLoader(dataset, batch_sampler=order, generator=theirs, collate_fn=_as_is, **workers)  # type: ignore[arg-type]
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        sampler=own,
        drop_last=drop_last,
        collate_fn=_as_is,  # type: ignore[arg-type]
        **workers,
    )


class _SeededBatches(BatchSampler):
    """Batches for loader processes, whose own generators live on from epoch to epoch and cannot be gone on with.

    What a batch draws then hangs neither on the process that makes it nor on their number.
    """

    def __iter__(self) -> Iterator[list[int]]:
        torch.empty((), dtype=torch.int64).random_()  # as a loader without processes does: the order is the same
        for indices in super().__iter__():
            seeded = SeededIndices(indices)
            seeded.seed = int(torch.randint(2**31, ()))
            yield seeded


def _as_is(batch: Batch) -> Batch:
    return batch
