import numpy as np
import pandas as pd
import pytest

from mriad.compare.runs import ScoredRun


def scored(*, shift, seed=0, patients=60, slices=3, common=1.0, group="patient"):
    """Scores table of a made-up test: half of the patients are diseased, and what is hard is so for every run.

    Args:
        shift: by how much anomalous scans score higher; what makes a method good.
        seed: of what is peculiar to the run.
        common: how much of the noise all runs share.
    """
    hard = np.random.default_rng(99).normal(size=(patients, 1)) + np.random.default_rng(98).normal(
        size=(patients, slices), scale=0.3
    )
    own = np.random.default_rng(seed).normal(size=(patients, slices), scale=0.3)
    label = np.repeat(np.arange(patients) % 2, slices)
    names = [f"p{patient:03}/{index}.png" for patient in range(patients) for index in range(slices)]
    return pd.DataFrame(
        {
            "path": names,
            "group": [name.split("/")[0] if group == "patient" else name for name in names],
            "class": np.where(label, "tumour", "healthy"),
            "label": label,
            "role": "test",
            "score": shift * label + (common * hard + own).ravel(),
        }
    )


@pytest.fixture
def make_scores():
    return scored


@pytest.fixture
def make_run():
    """A run of the autoencoder with some options; each is the later of those made before it."""
    made = []

    def make(*, seed="0", metrics=None, notes=(), **options):
        made.append(f"run{len(made)}")
        options = {"model": "ae", **{name.replace("__", "."): value for name, value in options.items()}}
        return ScoredRun(
            run_id=made[-1],
            started=len(made),
            seed=seed,
            options=options,
            metrics=metrics or {},
            scores=scored(shift=1.0),
            notes=tuple(notes),
        )

    return make
