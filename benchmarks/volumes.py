"""Whole heads for rows that measure volumes: one of 1 mm, sets of coarser ones, and a detector of slices of volumes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from benchmarks.bench import Bench
from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.heads import Person

SHAPE = (182, 218, 182)  # voxels of 1 mm, as of the MNI152 template and of many a scan
_LEVELS = 4  # of a scan of 12 bits for each of the generator's 8


def t1_of_1_mm(folder: Path) -> Path:
    """A T1 of ``SHAPE``, int16, ``.nii.gz``; it is drawn unless it is there."""
    file = folder / "t1.nii.gz"
    if file.exists():
        return file
    head = Person(rng=np.random.default_rng(0), atlas=load_atlas(), contrast="T1").head(kind=None, spacing=1.0)
    spare = np.array(head.levels.shape) - SHAPE
    first = np.array([spare[0] // 2, spare[1] // 2, spare[2]])  # what is left away below is neck
    inside = tuple(slice(start, start + size) for start, size in zip(first, SHAPE, strict=True))
    affine = head.affine.copy()
    affine[:3, 3] += first
    image = nibabel.Nifti1Image(head.levels[inside].astype(np.int16) * _LEVELS, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, file)
    return file


def trained(bench: Bench) -> Path:
    """Checkpoint of ``synthetic_anomaly`` for slices of volumes, at its default size, that has hardly learned."""
    run = bench.folder / "trained_on_volumes"
    if not run.exists():
        bench.train(
            "model=synthetic_anomaly", *heads(5, 3), "trainer.max_epochs=1", "+trainer.limit_train_batches=2",
            "logger.log_model=false", f"hydra.run.dir={run}",
        )  # fmt: skip
    return run / "best.ckpt"


def heads(healthy: int, diseased: int) -> tuple[str, ...]:
    """Options that choose so many synthetic heads of 2 mm."""
    return (
        "data=synthetic_volumes",
        f"data.layout.healthy_subjects={healthy}",
        f"data.layout.diseased_subjects={diseased}",
    )
