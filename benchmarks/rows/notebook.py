"""What the cache, the fused optimizer and bf16 save beside the loop that notebooks have."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.duel import duel
from benchmarks.table import Row, Target
from benchmarks.turns import ratio, side_by_side

TARGET = Target(limit=2, bound="at least")
NOTEBOOK = (
    "{_target_: benchmarks.rivals.NotebookLoop, model: '${model}', image_size: '${data.image_size}', "
    "root: '${data.root}'}"
)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line."""
    seconds = duel(bench, NOTEBOOK, "model=ae")
    yield Row(
        work=f"an epoch of ae on {bench.to_train_on()[1]:,} JPEG of 512 px",
        against="decoding and resizing every image in every epoch, plain Adam, fp32",
        value=ratio(seconds["theirs"], seconds["ours"]),
        unit="times faster",
        target=TARGET,
        how=side_by_side(seconds["ours"], seconds["theirs"]),
    )
