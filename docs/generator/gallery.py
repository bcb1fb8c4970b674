"""The pictures of the gallery: ``python -m docs.generator.gallery``, hits and misses of the detector in the box.

On built-in heads, contrast by contrast. Lesions are ordered by the share of each that the map outlines at
the pixel threshold. Of the smaller half of the lesions and of the larger half, the one in the middle of that order is
shown, and the one that is found least; then the highest place outside all lesions. So nothing is picked to look well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from docs.generator.picture import BAR, head_of, row, save
from mriad import plots
from mriad.checkpoints.box import PLACE
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.experiment.held_out import CONTRASTS, built_in

FOLDER = Path(__file__).parents[1] / "results"
NEAR = 5  # voxels from a lesion; what is called there belongs to it
APART = 2  # voxels; what lies no further apart is one lesion


@dataclass(frozen=True)
class Piece:
    """A lesion in one piece.

    Args:
        scan: index of its scan.
        place: where in it the map is highest.
        ml: its volume.
        found: share of it that is called anomalous.
    """

    scan: int
    place: tuple[int, ...]
    ml: float
    found: float


def main() -> None:
    """Draw them."""
    loaded = Checkpoint.load(PLACE)
    detector, threshold = loaded.detector().eval(), loaded.require_calibration().pixel_threshold
    spacing = float(loaded.config.data.spacing)
    for contrast in CONTRASTS:
        data, rows = built_in(loaded.config.data, contrast)
        images, masks = data.images(rows)[:, 0].float().numpy(), data.cache.masks_of(rows)
        with torch.inference_mode():
            maps = np.concatenate(
                [detector.scan(data.slices(one))[0][:, 0].numpy() for one in np.split(rows, len(rows))]
            )
        head = (slice(None), *head_of(list(images)))
        shown = chosen(images[head], maps[head], masks[head], threshold, spacing)
        figure = plots.gallery(
            {f"Whole heads in three planes; the white bar is {BAR} mm": shown},
            map_scale=(0.0, 1.0),
            pixel_threshold=threshold,
            title=f"{contrast}: hits and misses of the detector in the box",
            panels=("overlay",),
        )
        save(figure, FOLDER / f"gallery_{contrast}.png")


def chosen(
    images: NDArray[np.float32],
    maps: NDArray[np.float32],
    masks: NDArray[np.bool_],
    threshold: float,
    spacing: float,
) -> list[plots.GalleryRow]:
    """Two smaller and two larger lesions, and the highest place where none is, of volumes (n, D, H, W)."""
    pieces = sorted(lesions(maps, masks, threshold, spacing), key=lambda piece: piece.ml)
    halves = pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]
    found = []
    for half in halves:
        ranked = sorted(half, key=lambda piece: piece.found)
        for name, piece in (("median", ranked[len(ranked) // 2]), ("worst", ranked[0])):
            title = f"{name} of {len(half)}: {piece.ml:.1f} ml, {100 * piece.found:.0f} % found"
            found.append((piece.scan, piece.place, title))
    near = np.stack([ndimage.binary_dilation(mask, iterations=NEAR) for mask in masks])
    highest = np.unravel_index(int(np.argmax(np.where(near, -np.inf, maps))), maps.shape)
    scan, *place = map(int, highest)
    found.append((scan, tuple(place), f"highest outside lesions: {maps[highest]:.2f}"))
    return [
        row(images[scan], maps[scan], masks[scan], place=place, spacing=spacing, title=title)
        for scan, place, title in found
    ]


def lesions(maps: NDArray[np.float32], masks: NDArray[np.bool_], threshold: float, spacing: float) -> list[Piece]:
    """Every lesion of volumes (n, D, H, W); what lies close together is one."""
    found = []
    for scan, (anomaly_map, mask) in enumerate(zip(maps, masks, strict=True)):
        pieces, count = ndimage.label(ndimage.binary_dilation(mask, iterations=APART))
        for number in range(1, count + 1):
            inside = (pieces == number) & mask
            place = np.unravel_index(int(np.argmax(np.where(inside, anomaly_map, -np.inf))), mask.shape)
            ml = float(inside.sum()) * spacing**3 / 1000
            share = float((anomaly_map[inside] > threshold).mean())
            found.append(Piece(scan=scan, place=tuple(map(int, place)), ml=ml, found=share))
    return found


if __name__ == "__main__":
    main()
