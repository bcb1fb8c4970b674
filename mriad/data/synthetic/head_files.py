"""One person's head, drawn and written as NIfTI files; a worker process imports this file and no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.data.synthetic.atlas import Atlas
from mriad.data.synthetic.cohort import kind_of
from mriad.data.synthetic.heads import Head, Person

_ORIENTATIONS = ("RAS", "LAS", "LPS", "PSR", "LIA")  # where the axes of a file point
_TILTED = 0.4  # share of the scans whose grid is oblique
_TILT = 8.0  # degrees, standard deviation about each axis
_PIVOT = np.array([0.0, -18.0, 8.0])  # mm; about the middle of the brain
_SLOPES = (1.0, 20.0)  # what a file multiplies its numbers with


def write_head(
    number: int,
    folder: Path,
    *,
    atlas: Atlas,
    healthy_subjects: int,
    spacing: float,
    contrast: str,
    seed: int,
) -> list[dict[str, object]]:
    """Draw a person's head and write it with its masks.

    Args:
        number: of the person, from 0 on; the healthy ones come first.
        folder: of the set.
        atlas: the mean brain.
        healthy_subjects, spacing, contrast, seed: see ``make_synthetic_volumes``.

    Returns:
        What the catalog says of the scan; class '' for a healthy one.
    """
    diseased = number - healthy_subjects
    kind = kind_of(diseased) if diseased >= 0 else None
    patient = f"patient-{diseased + 1:04d}" if kind else f"control-{number + 1:04d}"
    rng = np.random.default_rng([seed, max(diseased, -1) + 1, number])
    head = Person(rng=rng, atlas=atlas, contrast=contrast).head(kind=kind, spacing=spacing)
    files = _write(folder, head, f"{kind or 'healthy'}/{patient}_{contrast}.nii.gz", rng=rng)
    return [{**files, "label": int(kind is not None), "class": kind or "", "patient": patient, "contrast": contrast}]


def _write(folder: Path, head: Head, name: str, *, rng: np.random.Generator) -> dict[str, object]:
    """Write a scan and its masks on one grid; what the manifest says of them."""
    axes, affine = _draw_grid(head, rng)
    slope = float(np.exp(rng.uniform(*np.log(_SLOPES))))
    _write_file(folder / name, head.levels, axes, affine, slope=slope)
    files = {"path": name, "brain_mask": f"brain_masks/{name}"}
    _write_file(folder / files["brain_mask"], head.brain, axes, affine)
    if head.lesion.any():
        files["mask"] = f"masks/{name}"
        _write_file(folder / files["mask"], head.lesion, axes, affine)
    return dict(files)


def _draw_grid(head: Head, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How a file orders its axes (as nibabel says it), and its affine."""
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
    from scipy.spatial.transform import Rotation

    order = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(str(rng.choice(_ORIENTATIONS))))
    tilt = np.eye(4)
    angles, tilted = rng.normal(0, _TILT, 3), rng.random() < _TILTED
    if tilted:
        tilt[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        tilt[:3, 3] = _PIVOT - tilt[:3, :3] @ _PIVOT
    return order, tilt @ head.affine @ inv_ornt_aff(order, head.levels.shape)


def _write_file(
    file: Path,
    values: NDArray[np.uint8] | NDArray[np.bool_],
    order: NDArray[np.float64],
    affine: NDArray[np.float64],
    *,
    slope: float | None = None,
) -> None:
    from nibabel.nifti1 import Nifti1Image
    from nibabel.orientations import apply_orientation

    stored = np.ascontiguousarray(apply_orientation(values.astype(np.uint8), order))
    image = Nifti1Image(stored, affine)
    image.header.set_slope_inter(slope, None if slope is None else 0)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(file)
