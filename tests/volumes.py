"""Small volumes for tests, written as NIfTI files and DICOM series."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from mriad.geometry import Grid

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oblique(*, shape=(14, 12, 10), spacing=(0.9, 1.1, 2.5), mirrored=True, origin=(20.0, -35.0, 4.0)) -> Grid:
    """A grid turned about two axes, left-handed where mirrored."""
    tilt, turn = np.radians((12, 25))
    around_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    around_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = around_z @ around_x @ np.diag([-1 if mirrored else 1, 1, 1]) * spacing
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine)


def voxels(shape: tuple[int, ...], *, kind: Any = np.int16, seed: int = 0) -> np.ndarray:
    """Values of which no two neighbours are alike."""
    return np.random.default_rng(seed).integers(0, 255, shape).astype(kind)


def write_nifti(file: Path, values: np.ndarray, affine: np.ndarray | None, *, two: bool = False, **header: Any) -> Path:
    """Write a NIfTI file; an affine of None leaves both codes at 0.

    Args:
        two: NIfTI-2.
        header: fields to set after all others.
    """
    image = (nibabel.Nifti2Image if two else nibabel.Nifti1Image)(values, affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, file)
    return file


def write_dicom(
    folder: Path, values: np.ndarray, grid: Grid, *, order: list[int] | None = None, **tags: Any
) -> list[Path]:
    """Write a series of single images under names that say nothing of their order.

    Args:
        values: (slices, rows, columns) int16 or uint16 on ``grid``.
        order: numbers of the slices to write, in the order of their names; all of them, shuffled, by default.
        tags: of every file by keyword; a list of as many as there are slices gives each slice its own; None leaves out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = _RAS_TO_LPS @ grid.affine
    order = list(np.random.default_rng(1).permutation(len(values))) if order is None else order
    common = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "SeriesNumber": 3} | {
        "SeriesDescription": "t1 mprage",
        "Modality": "MR",
        "PatientID": "P1",
        "PhotometricInterpretation": "MONOCHROME2",
    }
    files = []
    for name, number in enumerate(order):
        own = {
            key: value[number] if isinstance(value, list) and len(value) == len(values) else value
            for key, value in tags.items()
        }
        dataset = single_image(values[number])
        dataset.ImagePositionPatient = list(np.round(affine[:3, 3] + number * affine[:3, 0], 6))
        dataset.ImageOrientationPatient = [*(affine[:3, 2] / grid.spacing[2]), *(affine[:3, 1] / grid.spacing[1])]
        dataset.PixelSpacing = list(grid.spacing[1:])
        dataset.SliceThickness = grid.spacing[0]
        for key, value in (common | own).items():
            if value is None:
                delattr(dataset, key)
            else:
                setattr(dataset, key, value)
        files.append(folder / f"IM{name:04d}")
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def single_image(pixels: np.ndarray) -> FileDataset:
    """A DICOM dataset of gray pixels (rows, columns) or (frames, rows, columns)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    return dataset
