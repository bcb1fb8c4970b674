"""The volumes that detectors of volumes are measured on, laid out as data sets: ``python -m benchmarks.sources``.

Reads a folder of public volumes (``ixi_hh_t1_2mm``, ``brats2013_deepmedic``, ``open_ms_mni``, ``nichart_demo_wmh`` and
``isles22_case0009``, as their authors distribute them) and writes a CSV of scans for each, with brain masks where the
brain is cut out already. Of IXI it writes the scans anew, and some people a second time with a lesion drawn into the
brain: healthy and diseased scans are then of the same people in the same scanner, and no change of source tells them
apart. ``sources.csv`` is what one would do otherwise: healthy scans of IXI beside the lesions of the other sources.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from scipy import ndimage

PEOPLE = 20  # of IXI who have a scan with a lesion beside the healthy one
_DIAMETER = (8.0, 45.0)  # mm
_LEVELS = {"dark": (0.45, 0.75), "bright": (1.2, 1.5)}  # of the median of the brain: necrosis, oedema; enhancement
_DEPTH = 6.0  # mm from the surface of the brain to the centre at least
_EDGE = 1.0  # mm, standard deviation of the blur of its edge
_TEXTURE = 0.35  # share of what the tissue showed that is seen through the lesion


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__)
    parser.add_argument("volumes", type=Path, help="the folder of public volumes")
    parser.add_argument("folder", type=Path, help="where the data sets are written")
    told = parser.parse_args()
    volumes, folder = told.volumes.absolute(), told.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        "ixi": ixi(volumes / "ixi_hh_t1_2mm", folder / "ixi"),
        "glioma": glioma(volumes / "brats2013_deepmedic"),
        "ms": ms(volumes / "open_ms_mni", folder / "ms"),
        "wmh": wmh(volumes / "nichart_demo_wmh"),
        "stroke": stroke(volumes / "isles22_case0009", folder / "stroke"),
    }
    healthy = [row for row in sets["ixi"] if row["label"] == 0]
    lesions = [row for name in ("glioma", "ms", "wmh", "stroke") for row in sets[name]]
    for name, rows in (sets | {"sources": healthy + lesions}).items():
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
        print(f"{folder / name}.csv: {len(rows)} scans")


def ixi(source: Path, target: Path) -> list[dict[str, object]]:
    """Healthy T1 of 50 people, and the last ``PEOPLE`` of them a second time with a lesion."""
    rows: list[dict[str, object]] = []
    scans = sorted((source / "t1").glob("*.nii.gz"))
    for number, scan in enumerate(scans):
        name = scan.name.removesuffix(".nii.gz")
        brain_file = source / "dlmuse_seg" / f"{name}_DLMUSE.nii.gz"
        image, brain = Nifti1Image.from_filename(scan), np.asarray(Nifti1Image.from_filename(brain_file).dataobj) > 0
        levels = image.get_fdata(dtype=np.float32)
        known = {"contrast": "T1", "patient": name.split("-")[0], "brain_mask": brain_file}
        healthy = _write(levels, image, target / "healthy" / scan.name)
        rows.append({"path": healthy, "label": 0, "class": "healthy", "mask": "", **known})
        if number >= len(scans) - PEOPLE:
            kind = ("dark", "bright")[number % 2]
            spacing = tuple(float(side) for side in image.header.get_zooms())
            changed, mask = with_lesion(levels, brain, spacing, kind=kind, rng=np.random.default_rng(number))
            path = _write(changed, image, target / kind / scan.name)
            drawn = _write(mask.astype(np.int16), image, target / "masks" / kind / scan.name)
            rows.append({"path": path, "label": 1, "class": kind, "mask": drawn, **known})
    return rows


def with_lesion(
    levels: NDArray[np.float32], brain: NDArray[np.bool_], spacing: tuple[float, ...], *, kind: str,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:  # fmt: skip
    """A scan with one lesion of uneven outline, and where it is: an ellipsoid whose surface a smooth field moves.

    It shares no code with the anomalies that detectors learn from (``mriad.data.training.anomalies``).

    Args:
        levels, brain: (X, Y, Z) of a scan.
        spacing: mm.
        kind: 'dark' or 'bright'.
        rng: where it comes from.
    """
    depth = ndimage.distance_transform_edt(brain, sampling=spacing)
    diameter = np.exp(rng.uniform(*np.log(_DIAMETER)))
    centre = rng.choice(np.argwhere(depth > _DEPTH))
    index = np.moveaxis(np.indices(levels.shape), 0, -1)
    turned = ((index - centre) * spacing) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    radii = diameter / 2 * np.exp(rng.normal(0, 0.2, 3))
    surface = ndimage.gaussian_filter(rng.normal(size=levels.shape), [diameter / 5 / side for side in spacing])
    inside = np.linalg.norm(turned / radii, axis=-1) < 1 + 0.25 * surface / surface.std()
    inside &= brain
    share = ndimage.gaussian_filter(inside.astype(np.float32), [_EDGE / side for side in spacing]) * brain
    tissue = float(np.median(levels[brain]))
    lesion = rng.uniform(*_LEVELS[kind]) * tissue + _TEXTURE * (levels - tissue)
    return (levels + share * (lesion - levels)).astype(np.float32), inside


def glioma(source: Path) -> list[dict[str, object]]:
    """FLAIR and contrast-enhanced T1 of two patients, brains cut out."""
    return [
        _row(
            folder / f"{file}_subtrMeanDivStd.nii.gz", contrast=contrast, kind="glioma", patient=folder.name,
            mask=folder / "OTMultiClass.nii.gz", brain_mask=folder / "brainmask.nii.gz",
        )
        for folder in sorted(source.glob("brats_*"))
        for file, contrast in (("Flair", "FLAIR"), ("T1c", "T1c"))
    ]  # fmt: skip


def ms(source: Path, target: Path) -> list[dict[str, object]]:
    """FLAIR, T1 and T2 of a patient with multiple sclerosis, brain cut out."""
    (folder,) = source.glob("patient*")
    (mask,) = folder.glob("GOLD_STANDARD*")
    rows = []
    for contrast in ("FLAIR", "T1", "T2"):
        (scan,) = folder.glob(f"{contrast}_*")
        brain = cut_out(scan, target / f"{contrast}_brain.nii.gz")
        rows.append(_row(scan, contrast=contrast, kind="ms", patient=folder.name, mask=mask, brain_mask=brain))
    return rows


def wmh(source: Path) -> list[dict[str, object]]:
    """FLAIR of six people with white matter lesions, which an algorithm outlined."""
    return [
        _row(
            scan, contrast="FLAIR", kind="wmh", patient=name,
            mask=source / "dlwmls_seg" / f"{name}_FL_DLWMLS.nii.gz",
            brain_mask=source / "dlmuse_seg" / f"{name}_T1_DLMUSE.nii.gz",
        )
        for scan in sorted((source / "fl").glob("*_FL.nii.gz"))
        for name in [scan.name.removesuffix("_FL.nii.gz")]
    ]  # fmt: skip


def stroke(source: Path, target: Path) -> list[dict[str, object]]:
    """DWI of a stroke, brain cut out."""
    (scan,) = source.rglob("*_dwi.nii.gz")
    (mask,) = source.rglob("*_msk.nii.gz")
    brain = cut_out(scan, target / "DWI_brain.nii.gz")
    return [_row(scan, contrast="DWI", kind="stroke", patient="stroke", mask=mask, brain_mask=brain)]


def cut_out(scan: Path, target: Path) -> Path:
    """Write the brain mask of a scan of which nothing but the brain is left: what is not 0, its holes filled."""
    image = Nifti1Image.from_filename(scan)
    brain = ndimage.binary_fill_holes(image.get_fdata() != 0)
    return _write(brain.astype(np.int16), image, target)


def _row(scan: Path, *, kind: str, **known: object) -> dict[str, object]:
    return {"path": scan, "label": 1, "class": kind, **known}


def _write(values: NDArray[np.generic], like: Nifti1Image, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    image = Nifti1Image(np.rint(values).astype(np.int16), like.affine)
    image.set_qform(like.affine, 1)
    nibabel.save(image, target)
    return target


if __name__ == "__main__":
    main()
