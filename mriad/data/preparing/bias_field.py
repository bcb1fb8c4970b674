"""The bias field of a scan: what its coils, and not its tissue, make bright."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COARSE = 4.0  # mm per voxel of the copy on which the field is found, which changes but slowly
_ROUNDS = (30, 30, 20)  # iterations at each level, the coarsest first


def without_bias_field(
    levels: NDArray[np.float32], head: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> NDArray[np.float32]:
    """A scan divided by its bias field; N4, Tustison et al., IEEE TMI 2010.

    Args:
        levels: (D, H, W) intensities.
        head: (D, H, W) where the field is looked for.
        spacing: mm between voxels along each axis.

    Returns:
        (D, H, W), of the same mean over the head.
    """
    import SimpleITK as sitk  # noqa: N813  it takes a while, and few ask for it

    lowest = float(levels.min())
    image = sitk.GetImageFromArray(levels - lowest + 1.0)  # N4 takes the logarithm
    image.SetSpacing([float(side) for side in spacing[::-1]])
    mask = sitk.GetImageFromArray(head.astype(np.uint8))
    mask.CopyInformation(image)
    factors = [max(1, round(_COARSE / side)) for side in spacing[::-1]]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(_ROUNDS)
    corrector.SetNumberOfThreads(1)  # scans are prepared side by side, and the result hangs on nothing else
    corrector.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    field = np.exp(sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)))
    flat = (levels - lowest) / field
    scale = float((levels[head] - lowest).mean()) / max(float(flat[head].mean()), 1e-12)
    return (flat * scale + lowest).astype(np.float32)
