"""Small heads of three dimensions that tests make: a bright scalp, a dark skull, a brain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from mriad.data.reading.scan import Facts, Scan
from mriad.geometry import Grid, reorient

SIZE = (170.0, 200.0, 156.0)  # mm of the head along S, P, L; the neck is as long as the grid


def head(
    *, spacing: tuple[float, float, float] = (4.0, 4.0, 4.0), codes: str = "SPL", tilt: float = 0.0, **look: Any
) -> Scan:
    """A head on a grid of its own: ``spacing`` along its axes S, P, L, its file's axes leading to ``codes``.

    Args:
        tilt: degrees by which the grid is turned about its first axis, the head with it.
        **look: what ``voxels`` takes.
    """
    field = (240.0, 248.0, 200.0)
    shape = tuple(round(mm / side) for mm, side in zip(field, spacing, strict=True))
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = spacing[0], -spacing[1], -spacing[2], 1
    turn, angle = np.eye(4), np.deg2rad(tilt)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, 3] = (field[2] / 2, field[1] / 2, -60)
    grid = Grid(shape=shape, affine=turn @ affine)
    levels = voxels(shape, spacing, **look)
    return Scan(
        levels=np.ascontiguousarray(reorient(levels, grid, codes)),
        grid=grid.reoriented(codes),
        facts=Facts(format="NIfTI-1"),
    )


def voxels(
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    *,
    stripped: bool = False,
    scalp: float = 1000.0,
    lesion: bool = False,
    seed: int = 0,
) -> np.ndarray:
    """(D, H, W) float32: tissue of 400 to 600, background of 0; a lesion of 900 on the right side of the brain."""
    up, back, left = (
        (np.arange(count) + 0.5) * side - count * side / 2 for count, side in zip(shape, spacing, strict=True)
    )
    up, back, left = up[:, None, None] - 20, back[None, :, None], left[None, None, :]

    def within(mm: float, height: float = 0.0) -> np.ndarray:
        half = [(side / 2 - mm) for side in SIZE]
        return (up / (half[0] - height)) ** 2 + (back / half[1]) ** 2 + (left / half[2]) ** 2 <= 1

    brain = within(13)
    texture = np.random.default_rng(seed).uniform(400, 600, shape)
    image = np.where(brain, texture, 0.0)
    if not stripped:
        neck = (up < 0) & ((back / 60) ** 2 + (left / 60) ** 2 <= 1) & ~within(9)
        image = np.where(within(0) & ~within(6), scalp, image)
        image = np.where(neck & ~within(0), 500.0, image)
    if lesion:
        image = np.where((up - 20) ** 2 + back**2 + (left + 35) ** 2 <= 8**2, 900.0, image)
    return image.astype(np.float32)


def write_volumes(root: Path, *, healthy: int, anomalous: int) -> Path:
    """Heads in the layout ``volumes``: root/healthy, root/tumour and their masks, NIfTI in several orders of axes."""
    for number in range(healthy + anomalous):
        sick = number >= healthy
        scan = head(codes=("LPS", "RAS", "PSR")[number % 3], tilt=3.0 * (number % 2), lesion=sick, seed=number)
        name = f"sub-{number:02d}.nii.gz"
        levels = {f"{'tumour' if sick else 'healthy'}/{name}": scan.levels}
        if sick:
            levels[f"masks/tumour/{name}"] = (scan.levels == 900).astype(np.uint8)
        for path, values in levels.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(values, scan.grid.affine), root / path)
    return root
