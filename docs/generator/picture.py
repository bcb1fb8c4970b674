"""The picture of the README: ``python -m docs.generator.picture CHECKPOINT``, for a detector of the built-in volumes.

Of each kind of lesion in test, and of the healthy scans, the one whose score is the median of its kind: not the best.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from mriad import plots
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.experiment.data import load_data
from mriad.report.result import Result
from mriad.trainer.passes import measure

TARGET = Path(__file__).parents[1] / "found.png"
GRAYS, COLOURS = 32, 128  # of the palette: the picture is loaded with every reading of the README
TISSUE = 0.15  # what is brighter belongs to a head
BAR = 50  # mm


def main(checkpoint: Path) -> None:
    """Draw it."""
    loaded = Checkpoint.load(checkpoint)
    detector = loaded.detector()
    detector.record = {"calibration": loaded.require_calibration().as_record()}
    data = load_data(loaded.config.data, roles=("val", "test"), split=loaded.roles())
    result = measure(detector, data, loaded.config.trainer)
    assert result is not None
    heading = f"Whole heads in three planes through the lesion; the white bar is {BAR} mm"
    shown = rows(result, medians(result))
    figure = plots.gallery(
        {heading: shown},
        map_scale=(0.0, max(float(row.anomaly_map.max()) for row in shown)),
        pixel_threshold=result.calibration.pixel_threshold,
        title="Trained on healthy scans alone; what it finds in others",
        panels=("overlay",),
    )
    save(figure, TARGET)


def save(figure: Figure, file: Path) -> None:
    """As PNG of few colours, and say how large it is."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    _few_colours(Image.open(stream).convert("RGB")).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def medians(result: Result) -> NDArray[np.int64]:
    """The row of the table in the middle of each class, by score, of two the lower; healthy last."""
    ranked = result.table.sort_values("score", kind="stable")
    middle = {str(name): members.index[(len(members) - 1) // 2] for name, members in ranked.groupby("class")}
    return np.array([middle[name] for name in sorted(middle, key=lambda name: (name == "healthy", name))])


def rows(result: Result, picks: NDArray[np.int64]) -> list[plots.GalleryRow]:
    """Three planes of each volume through the peak of its map, in its lesion if it has one; cut to the largest head."""
    assert result.voxel_volume is not None
    head = head_of([result.images[pick] for pick in picks])
    found = []
    for pick in picks:
        image, anomaly_map, known = result.images[pick][head], result.maps[pick][head], result.masks[pick]
        mask = np.zeros(image.shape, dtype=bool) if known is None else known[head]
        peak = int(np.argmax(np.where(mask, anomaly_map, -np.inf) if mask.any() else anomaly_map))
        scan = result.table.loc[pick]
        title = [scan["class"].replace("_", " "), f"score {scan['score']:.2f}"]
        if mask.any():
            title.insert(1, f"{scan['lesion_ml']:.0f} ml")
            title += [] if anomaly_map.flat[peak] == anomaly_map.max() else ["peak elsewhere"]
        spacing = float(np.cbrt(result.voxel_volume[pick]))
        place = np.unravel_index(peak, image.shape)
        found.append(row(image, anomaly_map, mask, place=place, spacing=spacing, title=", ".join(title)))
    return found


def head_of(images: Sequence[NDArray[Any]]) -> tuple[slice, ...]:
    """The box that holds all heads of volumes (D, H, W) in [0, 1]."""
    inside = np.argwhere(np.any([image > TISSUE for image in images], axis=0))
    return tuple(slice(low, high + 1) for low, high in zip(inside.min(axis=0), inside.max(axis=0), strict=True))


def row(
    image: NDArray[Any],
    anomaly_map: NDArray[Any],
    mask: NDArray[np.bool_],
    *,
    place: Sequence[Any],
    spacing: float,
    title: str,
) -> plots.GalleryRow:
    """Three planes of a volume (D, H, W), its map and its lesions through a place, and a bar; spacing in mm."""
    views = [planes(volume, place) for volume in (image, anomaly_map, mask)]
    bar = np.s_[-4:-2, 4 : 4 + round(BAR / spacing)]
    views[0][bar], views[1][bar] = 1, 0
    return plots.GalleryRow(
        image=views[0], reconstruction=None, anomaly_map=views[1], mask=views[2], title=title
    )  # fmt: skip


def planes(volume: NDArray[Any], place: Sequence[Any]) -> NDArray[Any]:
    """Axial, coronal and sagittal slice of a volume (D, H, W) through a place, side by side and upright."""
    axial, coronal, sagittal = (volume.take(place[axis], axis=axis) for axis in range(3))
    views = [axial, coronal[::-1], sagittal[::-1]]
    tall = max(map(len, views))
    return np.concatenate(
        [np.pad(view, (((tall - len(view)) // 2, -((len(view) - tall) // 2)), (0, 0))) for view in views], axis=1
    )


def _few_colours(image: Image.Image) -> Image.Image:
    """With a palette that the gray of the scans does not use up: a small file, and maps without steps."""
    pixels = np.asarray(image).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels.astype(int), axis=1) > 24]
    own = Image.fromarray(coloured[None]).quantize(COLOURS).getpalette() or []
    grays = np.repeat(np.linspace(0, 255, GRAYS).round().astype(int), 3).tolist()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*own[: 3 * COLOURS], *grays])
    indices = np.array(image.quantize(palette=palette, dither=Image.Dither.NONE))
    indices[np.asarray(image).min(axis=2) == 255] = COLOURS + GRAYS - 1  # Pillow's search gives white a neighbour
    found = Image.fromarray(indices, mode="P")
    found.putpalette(palette.getpalette() or [])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
