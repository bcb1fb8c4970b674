"""What ``predict.py`` costs for one volume, from its file to map and mask, in time and memory."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks import volumes
from benchmarks.bench import ROOT, Bench, Ended
from benchmarks.table import Row, Target

SECONDS = Target(limit=6)
MEMORY = Target(limit=1.5)
_TURNS = 3


def measure(bench: Bench) -> Iterator[Row]:
    """Yield seconds and memory of the whole command."""
    file, checkpoint = volumes.t1_of_1_mm(bench.folder), volumes.trained(bench)
    ended: list[Ended] = []
    imports: list[float] = []
    for turn in range(_TURNS + 1):
        output = bench.folder / f"volume-{turn}"
        one = bench.run(
            [str(ROOT / "predict.py"), f"checkpoint={checkpoint}", f"input={file}", f"output={output}", "maps=true",
             f"hydra.run.dir={output}"]
        )  # fmt: skip
        alone = bench.run(["-c", "import mriad.tasks.predict"]).seconds
        if turn:  # the first one finds nothing in the system's cache of files
            ended.append(one)
            imports.append(alone)
    work = f"python predict.py, a T1 of 1 mm, {' x '.join(map(str, volumes.SHAPE))}, synthetic_anomaly, map and mask"
    seconds = median(one.seconds for one in ended)
    yield Row(
        work=work,
        value=seconds,
        unit="s",
        target=SECONDS,
        how=f"median of {_TURNS}; {median(imports):.2g} s of them import libraries, once for however many scans",
    )
    yield Row(
        work=work,
        value=max(one.peak for one in ended),
        unit="GB",
        target=MEMORY,
        how=f"most resident memory (VmHWM); {max(one.private for one in ended):.2g} GB of it private",
    )
