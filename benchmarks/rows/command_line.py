"""How long a command that trains nothing lets one wait, beyond the import of Hydra."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from benchmarks.bench import ROOT, Bench
from benchmarks.table import Row, Target
from benchmarks.turns import alternate

TARGET = Target(limit=1.5)
ASKED = {"--help": 0, "--cfg job": 0, "modle=vae": 1}  # what is typed, and the exit code that it earns


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line for each thing that is typed."""
    train = str(ROOT / "train.py")
    typed = {words: partial(bench.run, [train, *words.split()], code=code) for words, code in ASKED.items()}
    seconds = alternate({"hydra": partial(bench.run, ["-c", "import hydra"]), **typed})
    alone = median(seconds["hydra"])
    for words in ASKED:
        here = median(seconds[words])
        yield Row(
            work=f"python train.py {words}",
            against="importing hydra alone",
            value=here - alone,
            unit="s more",
            target=TARGET,
            how=f"{here:.2f} s to {alone:.2f} s, medians of {len(seconds[words])}",
        )
