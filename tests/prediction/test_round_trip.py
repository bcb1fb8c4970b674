"""What is strange in one place of a scan is strange in the same place of the file that is written for it."""

import gzip
from dataclasses import replace
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from whole_heads import save

from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.read import read_scan
from mriad.models import Intensity
from mriad.prediction.predictor import Predictor
from mriad.scoring import Score
from mriad.writing.nifti import as_nifti

ORIENTATIONS = ("ASL", "LIA", "LPS", "PIR", "RAS", "SRP")
RADIUS = 9.0  # mm


def looking():
    """A predictor whose maps are what it is shown."""
    checkpoint = SimpleNamespace(
        require_calibration=lambda: SimpleNamespace(threshold=0.0, pictures=None),
        detector=lambda: Intensity(score=Score(mask="none")).eval(),
        preprocess=PrepareVolume,
        trained={},
        run_id=None,
        key="key",
    )
    return Predictor(checkpoint=checkpoint, device="cpu")


def ball(scan, working):
    """Voxels around a place of the scan that is off the middle of the working grid in all three directions."""
    centre = working.to_world(np.array(working.shape) * (0.7, 0.33, 0.36))
    index = np.stack(np.meshgrid(*map(np.arange, scan.grid.shape), indexing="ij"), axis=-1)
    return np.linalg.norm(scan.grid.to_world(index) - centre, axis=-1) < RADIUS


def came_back(scan):
    """Where the ball was drawn and where it was found, in mm by the affine of the file, and half a working voxel."""
    predictor = looking()
    working = predictor.prepare(scan).geometry.working
    drawn = ball(scan, working)
    assert drawn.sum() > 20 and not drawn.all()
    shown = []
    for level in (scan.levels.max(), scan.levels.min()):
        marked = replace(scan, levels=np.where(drawn, level, scan.levels).astype(scan.levels.dtype))
        (found,) = predictor([predictor.prepare(marked)])
        shown.append(nibabel.Nifti1Image.from_bytes(gzip.decompress(as_nifti(found.map, scan, description="map"))))
    bright, dark = (np.asarray(image.dataobj) for image in shown)
    strange = np.argwhere(bright - dark > 0.5)
    assert len(strange) / drawn.sum() == pytest.approx(1, abs=0.25)
    found = nibabel.affines.apply_affine(shown[0].affine, strange.mean(axis=0))
    return scan.grid.to_world(np.argwhere(drawn).mean(axis=0)), found, working.spacing[0] / 2


def test_a_ball_in_an_oblique_left_handed_volume(tmp_path):
    file = save(tmp_path / "head.nii.gz")
    scan = read_scan(file)
    assert scan.grid.orientation == "PSR" and np.linalg.det(scan.grid.affine) < 0
    drawn, found, half = came_back(scan)
    assert np.linalg.norm(found - drawn) < half
    written = nibabel.Nifti1Image.from_bytes(gzip.decompress(as_nifti(scan.levels, scan, description="")))
    source = nibabel.load(file)
    assert np.array_equal(written.affine, source.affine)
    assert np.array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj))


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [f"odd/niimath_orient/{code}.nii.gz" for code in ORIENTATIONS] + ["dicom_philips_mprage", "dicom_ge_oblique"],
)
def test_a_ball_in_a_real_scan(data_root, name):
    drawn, found, half = came_back(read_scan(data_root / "volumes" / name))
    assert np.linalg.norm(found - drawn) < half
