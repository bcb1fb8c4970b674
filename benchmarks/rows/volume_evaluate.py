"""How time and memory of ``evaluate.py`` grow with the number of volumes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import volumes
from benchmarks.bench import ROOT, Bench, Ended
from benchmarks.table import Row, Target
from benchmarks.turns import exponent
from mriad.data.synthetic.volumes import make_synthetic_volumes

TIME = Target(limit=1.1)
MEMORY = Target(limit=1.1, bound="under")
FULL = (20, 200)
FEW = (20, 80)  # with fewer, growth hides behind what one scan takes


def measure(bench: Bench) -> Iterator[Row]:
    """Yield how time and memory grow; with fewer volumes, unless at full size."""
    sizes = FULL if bench.full else FEW
    ended = [evaluated(bench, size) for size in sizes]
    work = f"python evaluate.py, synthetic_anomaly, {' and '.join(map(str, sizes))} volumes of 2 mm, prepared by it"
    larger = "" if bench.full else f"; {' and '.join(map(str, FULL))} with --full"
    yield Row(
        work=work,
        value=exponent([(size, one.seconds) for size, one in zip(sizes, ended, strict=True)]),
        unit="as exponent",
        target=TIME,
        how=", ".join(f"{one.seconds:.3g} s" for one in ended) + larger,
    )
    yield Row(
        work=work,
        against=f"its memory with {sizes[0]}",
        value=ended[-1].private / ended[0].private,
        unit="times as much",
        target=MEMORY,
        how=", ".join(f"{one.private:.3g} GB" for one in ended) + f", private{larger}",
    )


def evaluated(bench: Bench, size: int) -> Ended:
    """Test so many heads, a third of them with lesions, that lie ready as files and were not prepared yet."""
    diseased = size // 3
    checkpoint = volumes.trained(bench)
    make_synthetic_volumes(bench.cache, healthy_subjects=size - diseased, diseased_subjects=diseased, seed=1)
    run = bench.folder / f"evaluated-{size}"
    return bench.run(
        [str(ROOT / "evaluate.py"), f"checkpoint={checkpoint}", *volumes.heads(size - diseased, diseased),
         f"data.root={bench.cache}", f"data.cache_dir={run / 'cache'}", "data.layout.seed=1", "split=all_test",
         f"hydra.run.dir={run}"]
    )  # fmt: skip
