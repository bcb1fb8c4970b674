"""Heads as scanners might write them, small: oblique, left-handed, of voxels that are no cubes."""

import nibabel
import numpy as np
from scipy.spatial.transform import Rotation


def affine(*, turn=(8, -5, 12), spacing=(4.0, 3.5, 4.5), codes="PSR", shape=(44, 48, 40)):
    """(4, 4) of a grid whose middle is the scanner's, its axes turned by some degrees about the three world axes."""
    worlds = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    axes = np.zeros((3, 3))
    for axis, code in enumerate(codes):
        axes[worlds[code], axis] = spacing[axis] * (1 if code in "RAS" else -1)
    placed = np.eye(4)
    placed[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ axes
    placed[:3, 3] = (3, -7, 11) - placed[:3, :3] @ ((np.array(shape) - 1) / 2)
    return placed


def head(seed=0, *, shape=(44, 48, 40), placed=None, lesion=False):
    """Levels (shape) of a skull with a brain in it, int16 from 0 to about 1000, and its affine."""
    placed = affine(shape=shape) if placed is None else placed
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ placed[:3, :3].T + placed[:3, 3]
    rng = np.random.default_rng(seed)
    size = np.array([66, 80, 64]) * rng.uniform(0.94, 1.06, 3)
    radius = np.linalg.norm((world - (3, -7, 11)) / size, axis=-1)
    levels = np.where(radius < 1, 250.0, 0)
    levels[radius < 0.88] = 0
    brain = radius < 0.82
    levels[brain] = 500 + 120 * np.sin(world[brain] / 9 + seed).sum(axis=-1)
    if lesion:
        levels[np.linalg.norm(world - (25, 10, 25), axis=-1) < 16] = 1000
    return np.clip(levels + rng.normal(0, 8, shape), 0, None).astype(np.int16), placed


def save(file, seed=0, *, code=1, **head_options):
    """Write a head as NIfTI."""
    levels, placed = head(seed, **head_options)
    image = nibabel.Nifti1Image(levels, placed)
    image.set_sform(placed, code=code)
    image.set_qform(placed, code=code)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(file)
    return file
