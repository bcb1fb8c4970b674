"""The synthetic set of whole heads as a folder of NIfTI files, as ``data=volumes`` reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.cohort import kind_of
from mriad.data.synthetic.heads import HEAD_CONTRASTS, Head, Person
from mriad.data.synthetic.once import Records, made_once, of_all, require_within
from mriad.errors import MriadError, unknown

VERSION = 1  # raise it whenever a change of the code changes a voxel: it is part of the folder's name

_ORIENTATIONS = ("RAS", "LAS", "LPS", "PSR", "LIA")  # where the axes of a file point
_TILTED = 0.4  # share of the scans whose grid is oblique
_TILT = 8.0  # degrees, standard deviation about each axis
_PIVOT = np.array([0.0, -18.0, 8.0])  # mm; about the middle of the brain
_SLOPES = (1.0, 20.0)  # what a file multiplies its numbers with

_LIMITS = {
    "healthy_subjects": (1, 100_000),
    "diseased_subjects": (0, 100_000),
    "seed": (0, 2**63 - 1),
    "workers": (1, 256),
}


def make_synthetic_volumes(
    root: Path | str,
    *,
    healthy_subjects: int = 24,
    diseased_subjects: int = 16,
    spacing: float = 2.0,
    contrast: str = "T1",
    seed: int = 0,
    workers: int | None = None,
) -> Catalog:
    """The set below ``root``; it is made if no earlier call with these settings has made it.

    Heads are bent from the MNI152 template that nilearn carries, those of one seed are the same people in any contrast.
    Files differ in what scanners differ in: the order and direction of their axes, how oblique they are, and the factor
    between their numbers and intensities; none of it tells the diseased from the healthy. The same settings and seed
    give the same bytes, whatever ``workers`` is.

    Args:
        root: folder of the cached sets; each combination of settings has a folder of its own below it.
        healthy_subjects: people without a lesion.
        diseased_subjects: people with lesions of one kind, the kinds in turn.
        spacing: of the voxels, 1 to 4 mm.
        contrast: one of ``heads.HEAD_CONTRASTS``.
        seed: draws the people, 0 or more.
        workers: threads that draw at once; None takes a thread per available core, 8 at most.

    Returns:
        A catalog whose root is the set's own folder.

    Raises:
        MriadError: if an argument is out of range, the folder cannot be written, or a made set has lost files.
    """
    settings = {"healthy_subjects": healthy_subjects, "diseased_subjects": diseased_subjects, "seed": seed}
    require_within({**settings, "workers": 1 if workers is None else workers}, _LIMITS)
    if isinstance(spacing, bool) or not isinstance(spacing, int | float) or not 1 <= spacing <= 4:
        raise MriadError(f"spacing of the synthetic set is {spacing!r}; give a number of mm from 1 to 4.")
    if contrast not in HEAD_CONTRASTS:
        raise unknown("data.contrast", contrast, HEAD_CONTRASTS)
    folder = Path(root) / (
        f"synthetic_volumes-v{VERSION}-h{healthy_subjects}-d{diseased_subjects}-mm{spacing:g}-{contrast}-seed{seed}"
    )

    def make(unfinished: Path) -> Records:
        atlas = load_atlas()

        def make_person(number: int) -> Records:
            diseased = number - healthy_subjects
            kind = kind_of(diseased) if diseased >= 0 else None
            patient = f"patient-{diseased + 1:04d}" if kind else f"control-{number + 1:04d}"
            rng = np.random.default_rng([seed, max(diseased, -1) + 1, number])
            head = Person(rng=rng, atlas=atlas, contrast=contrast).head(kind=kind, spacing=spacing)
            files = _write(unfinished, head, f"{kind or HEALTHY}/{patient}_{contrast}.nii.gz", rng=rng)
            return [
                files
                | {"label": int(kind is not None), "class": kind or HEALTHY, "patient": patient, "contrast": contrast}
            ]

        return of_all(range(healthy_subjects + diseased_subjects), make_person, workers=workers)

    return made_once(folder, make)


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
    image = Nifti1Image(stored if slope is None else stored * np.float32(slope), affine)
    image.set_data_dtype(np.uint8)
    image.header.set_slope_inter(slope, None if slope is None else 0)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(file)
