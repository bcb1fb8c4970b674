"""A page on which NiiVue, a viewer of brains, shows a scan, its map and its mask in the three planes: a check by eye.

``python -m benchmarks.look niivue.umd.js SCAN.nii.gz MAP.nii.gz MASK.nii.gz`` writes ``look.html``, which needs no
server. The first file lies in ``dist/`` of the npm package @niivue/niivue. Of a DICOM series the scan is what another
program, such as dcm2niix, makes of it: the viewer puts the map where the map's own header says.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body {{ margin: 0; background: black }} canvas {{ display: block; width: 1200px; height: 400px }}</style>
<canvas></canvas><canvas></canvas><canvas></canvas>
<script src="{viewer}"></script>
<script>
const files = {files}, at = {at}, looks = {looks};
async function show(canvas, layer) {{
  const viewer = new niivue.Niivue({{ multiplanarLayout: niivue.MULTIPLANAR_TYPE.ROW, isResizeCanvas: false,
    multiplanarShowRender: niivue.SHOW_RENDER.NEVER, isSliceMM: true, crosshairWidth: 0.5, crosshairGap: 6 }});
  [canvas.width, canvas.height] = [1200, 400];
  await viewer.attachToCanvas(canvas);
  for (const name of ["scan", ...(layer ? [layer] : [])])
    viewer.addVolume(
      await niivue.NVImage.loadFromBase64({{ base64: files[name], name: name + ".nii.gz", ...looks[name] }}));
  if (layer == "mask") [viewer.overlayOutlineWidth, viewer.overlayAlphaShader] = [1, 0.4];
  viewer.setSliceType(viewer.sliceTypeMultiplanar);
  viewer.scene.crosshairPos = viewer.mm2frac(at);
  viewer.updateGLVolume();
}}
Promise.all([...document.querySelectorAll("canvas")].map((canvas, row) => show(canvas, ["", "map", "mask"][row])))
  .then(() => {{ document.title += " (drawn)"; }});
</script>
"""


def page(
    viewer: Path, scan: Path, anomaly_map: Path, mask: Path, at: list[float] | None = None, least: float | None = None
) -> str:
    """The page: the scan, the map over it, and the outline of the mask over it.

    Args:
        viewer: NiiVue's ``niivue.umd.js``.
        scan: NIfTI file.
        anomaly_map: of the scan, on any grid.
        mask: what of the map lies above the pixel threshold.
        at: where the planes meet, in mm; None for the peak of the map.
        least: map value from which the map is coloured; None for the pixel threshold.
    """
    paths = {"scan": scan, "map": anomaly_map, "mask": mask}
    images: dict[str, Any] = {name: nibabel.load(path) for name, path in paths.items()}
    values, called = (np.asarray(images[name].dataobj, dtype=np.float64) for name in ("map", "mask"))
    if at is None:
        peak = np.unravel_index(np.argmax(values), values.shape)
        at = nibabel.affines.apply_affine(images["map"].affine, peak).tolist()
    if least is None:
        least = float(values[called > 0].min()) if called.any() else float(np.percentile(values, 99.5))
    looks = {
        "scan": {"colormap": "gray"},
        "map": {"colormap": "warm", "opacity": 0.7, "cal_min": least, "cal_max": max(values.max(), least + 1e-6)},
        "mask": {"colormap": "green", "cal_min": 0.5, "cal_max": 1},
    }
    files = {name: base64.b64encode(gzip.compress(image.to_bytes(), 3)).decode() for name, image in images.items()}
    return PAGE.format(
        title=scan.name, viewer=viewer.resolve().as_uri(), files=json.dumps(files), at=at, looks=json.dumps(looks)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.look", description=__doc__)
    for name in ("viewer", "scan", "map", "mask"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--at", type=float, nargs=3, help="where the planes meet, in mm (default: the map's peak)")
    parser.add_argument("--least", type=float, help="map value from which it is coloured (default: pixel threshold)")
    parser.add_argument("--output", type=Path, default=Path("look.html"))
    words = parser.parse_args()
    words.output.write_text(page(words.viewer, words.scan, words.map, words.mask, words.at, words.least))
    print(words.output)
