"""The brain of a head, as a network of the field finds it.

deepbet (Fisch et al. 2024, "deepbet: Fast brain extraction of T1-weighted MRI using Convolutional Neural Networks")
brings its weights, which were trained on T1-weighted scans. It is installed by whoever asks for it, and imported when
the first brain is looked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mriad.errors import MriadError
from mriad.geometry import Grid

log = logging.getLogger(__name__)

OPTION = "data.preprocess.strip=deepbet"

_PARTS = ("deepbet", "fill_voids", "tqdm")  # of what it imports, what mriad does not bring
_TRAINED_ON = ("T1", "T1c")
_NO_BRAIN = f"deepbet finds no brain in it; look at it, then leave it out or drop {OPTION}."
_ONE_AT_A_TIME = Lock()  # the library keeps what it does with a scan on itself, and takes all threads and 1 GB anyway


def version() -> str:
    """The library and its version, as in 'deepbet 1.0.2'.

    Raises:
        MriadError: if it, or what it imports, is not installed.
    """
    if missing := [name for name in _PARTS if find_spec(name) is None]:
        raise MriadError(
            f"{OPTION} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: run "
            "pip install fill_voids tqdm, then pip install --no-deps deepbet."
        )
    return f"deepbet {metadata.version('deepbet')}"


def extracted_brain(levels: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    """The brain mask of a scan; may be called in several threads.

    Args:
        levels: (D, H, W) intensities of a head, any range.
        grid: where they lie.

    Returns:
        (D, H, W), one piece without holes.

    Raises:
        MriadError: if it finds no brain.
    """
    from nibabel.nifti1 import Nifti1Image

    with _ONE_AT_A_TIME:
        try:
            _, mask, _ = _network().run(Nifti1Image(levels, grid.affine))
        except (ValueError, AssertionError) as error:  # as it fails where its networks see nothing
            raise MriadError(_NO_BRAIN) from error
    brain = np.asarray(mask.dataobj) > 0
    if not brain.any():
        raise MriadError(_NO_BRAIN)
    return brain


def warn_of_contrasts(contrasts: Sequence[str]) -> None:
    """Warn if scans are known to be no T1-weighted ones.

    Args:
        contrasts: of each scan, as 'T1' or 'FLAIR'; '' where unknown.
    """
    other = [contrast for contrast in contrasts if contrast and contrast not in _TRAINED_ON]
    if other:
        log.warning(
            "%s finds brains in T1-weighted scans, and %d of %d are others (%s): look at what it leaves of them.",
            *(OPTION, len(other), len(contrasts), ", ".join(sorted(set(other)))),
        )


@cache
def _network() -> Any:
    from deepbet import BrainExtraction

    return BrainExtraction(no_gpu=True)  # the same brain with and without a GPU
