"""What mriad does with a file before its network sees it, as a zip that Python imports: its own code, without torch."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mriad.disk import written_whole

PREPARATION = "preparation.zip"
NEEDS = ("numpy", "opencv-python-headless", "pillow", "scipy", "nibabel", "tifffile", "pydicom", "SimpleITK")
_MRIAD = Path(__file__).parents[1]
# rooms that, as a test of mriad's architecture holds, import neither torch nor Lightning
_ROOMS = ("data/reading", "geometry")
_PREPARING = ("__init__", "preprocess", "volumes", "bias_field", "brain_extraction")
_FILES = (
    *("data/__init__.py", "anatomy.py", "volume_anatomy.py", "mni152_brain.npz"),
    *("errors.py", "guesses.py"),
    *(f"data/preparing/{name}.py" for name in _PREPARING),
)
_PACKAGE = '"""What mriad does with a scan before a network sees it; a part of mriad {version}."""\n'
_ENTRY = '''"""Scans as a graph that mriad has exported takes them."""

from pathlib import Path

import numpy as np

from mriad.anatomy import brain_mask
from mriad.data.reading.read import read_scan


def prepared_scan(file, about, series=None):
    """What the graph takes of a file: uint8, and the geometry that leads back to it."""
    scan = read_scan(Path(file), series=series)
    if about["of"] == "pictures":
        from mriad.data.preparing.preprocess import Preprocess

        return Preprocess(**about["options"])(scan.levels[0])
    from mriad.data.preparing.volumes import PrepareVolume

    return PrepareVolume(**about["options"])(scan)


def brain_of(image):
    """Where the brain of a prepared scan lies, uint8."""
    levels = np.asarray(image, dtype=np.float32) / 255
    if levels.ndim == 2:
        return brain_mask(levels).astype(np.uint8)
    from mriad.volume_anatomy import brain_mask_of_volume

    return brain_mask_of_volume(levels).astype(np.uint8)
'''


def write_preparation(folder: Path, *, version: str) -> None:
    """Write ``preparation.zip``."""
    with written_whole(folder / PREPARATION) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("preparation.py", _ENTRY)
        packed.writestr("mriad/__init__.py", _PACKAGE.format(version=version))
        for file in _FILES:
            packed.write(_MRIAD / file, f"mriad/{file}")
        for room in _ROOMS:
            for source in sorted((_MRIAD / room).rglob("*.py")):
                packed.write(source, f"mriad/{source.relative_to(_MRIAD).as_posix()}")
