"""The picture of the README: ``python -m docs.generator.picture CHECKPOINT``, for a detector of the built-in scans.

Of each kind of lesion in test, and of the healthy scans, the one whose score is the median of its kind: not the best.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mriad import plots
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.experiment.data import load_data
from mriad.report.figures import gallery_rows
from mriad.report.result import Result
from mriad.trainer.passes import measure

TARGET = Path(__file__).parents[1] / "found.png"
GRAYS, COLOURS = 48, 128  # of the palette: the picture is loaded with every reading of the README


def main(checkpoint: Path) -> None:
    """Draw it."""
    loaded = Checkpoint.load(checkpoint)
    detector = loaded.detector()
    detector.record = {"calibration": loaded.require_calibration().as_record()}
    data = load_data(loaded.config.data, roles=("val", "test"), split=loaded.roles())
    result = measure(detector, data, loaded.config.trainer)
    assert result is not None
    heading = "One test scan of each kind, the one with the median score"
    figure = plots.gallery(
        {heading: gallery_rows(result, detector, medians(result))},
        map_scale=result.calibration.map_scale,
        pixel_threshold=result.calibration.pixel_threshold,
        title="Trained on healthy scans alone; what it finds in others",
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    _few_colours(Image.open(stream).convert("RGB")).save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


def medians(result: Result) -> NDArray[np.int64]:
    """The row of the table in the middle of each class, by score; healthy last."""
    ranked = result.table.sort_values("score", kind="stable")
    rows = {str(name): members.index[len(members) // 2] for name, members in ranked.groupby("class")}
    return np.array([rows[name] for name in sorted(rows, key=lambda name: (name == "healthy", name))])


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
