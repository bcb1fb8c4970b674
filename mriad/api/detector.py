"""A trained detector for programs: images of any kind in, results out."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mriad.api.images import CANONICAL, Image, Place, is_path, nibabel_back, opened, same
from mriad.api.result import Result
from mriad.checkpoints.box import boxed
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.reading.scan import Scan
from mriad.data.reading.volume_masks import mask_on, read_mask_on
from mriad.errors import MriadError, unknown
from mriad.geometry import Grid
from mriad.prediction.inputs import Wanted, find_scans
from mriad.prediction.predictor import Predictor, Prepared
from mriad.prediction.reading import read_prepared
from mriad.prediction.scan_files import ScanFile
from mriad.prediction.unlike import Unlike

if TYPE_CHECKING:
    from mriad.tracking.tracker import Tracker

_STORE = "sqlite:///mlflow.db"
_ENDING = ".ckpt"
Errors = Literal["keep", "raise"]


def load(
    detector: str | os.PathLike[str] | None = None, *, device: str = "auto", tracking_uri: str | None = None
) -> Detector:
    """Load a trained detector.

    Args:
        detector: the path of its checkpoint (``.ckpt``), the MLflow id of its run, or what the registry calls it, as in
            ``models:/mriad@champion``; None for the one that comes with mriad.
        device: torch device, such as 'cpu' or 'cuda:1'; 'auto' for the GPU if there is one.
        tracking_uri: MLflow store in which a run is looked up; None for ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` in
            the working directory.

    Raises:
        MriadError: if there is no such detector, it was never calibrated, or the device is not there.
    """
    if detector is None:
        return Detector(Checkpoint.load(boxed()), device=device)
    path = Path(detector).expanduser()
    if not isinstance(detector, str) or detector.endswith(_ENDING) or path.exists():
        return Detector(Checkpoint.load(path), device=device)
    with tempfile.TemporaryDirectory() as folder, _store(tracking_uri) as tracker:
        from mriad.checkpoints.named import of_run  # with MLflow, which a file does without

        return Detector(of_run(tracker.find(detector), Path(folder)), device=device)


@contextmanager
def _store(tracking_uri: str | None) -> Iterator[Tracker]:
    """The store, while the program's own stays the one that MLflow knows."""
    import mlflow

    from mriad.tracking.store import database_file
    from mriad.tracking.tracker import Tracker

    before = os.environ.get("MLFLOW_TRACKING_URI")
    uri = tracking_uri or before or _STORE
    if (file := database_file(uri)) and not file.exists():
        raise MriadError(
            f"There is no MLflow store {file} to look the run up in; give tracking_uri=, set MLFLOW_TRACKING_URI, or "
            "give the path of a .ckpt file."
        )
    try:
        yield Tracker(tracking_uri=uri)
    finally:
        mlflow.set_tracking_uri(before or "")


class Detector:
    """A trained, calibrated detector.

    It may be called in several threads: scans are read and prepared side by side, and looked at one after the other.

    Attributes:
        of_volumes: whether it takes volumes; else it takes pictures.
        threshold: a scan is anomalous if its score is above it.
        pixel_threshold: a pixel or voxel is anomalous if its map value is above it.
        run_id: MLflow id of the run that trained it; None if unknown.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto") -> None:
        self.predictor = Predictor(checkpoint=checkpoint, device=device)
        self.of_volumes = self.predictor.of_volumes
        self.threshold = self.predictor.calibration.threshold
        self.pixel_threshold = self.predictor.calibration.pixel_threshold
        self.run_id = checkpoint.run_id
        self._name = str(checkpoint.choices.get("model") or "detector")
        self._one_at_a_time = Lock()

    def __repr__(self) -> str:
        what = "volumes" if self.of_volumes else "pictures"
        return f"Detector({self._name} of {what}, threshold={self.threshold:.5g}, run_id={self.run_id})"

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a list is an object too, and the first that fits counts
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        spacing: float | Sequence[float] | None = None,
        affine: ArrayLike | None = None,
        orientation: str = CANONICAL,
        series: str | int | None = None,
        brain_mask: Image = None,
        errors: Errors = "keep",
        progress: bool = False,
    ) -> list[Result]: ...

    @overload
    def __call__(
        self,
        image: NDArray[Any] | str | os.PathLike[str] | object,
        *,
        spacing: float | Sequence[float] | None = None,
        affine: ArrayLike | None = None,
        orientation: str = CANONICAL,
        series: str | int | None = None,
        brain_mask: Image = None,
        errors: Errors = "keep",
        progress: bool = False,
    ) -> Result: ...

    def __call__(
        self,
        image: Any,
        *,
        spacing: float | Sequence[float] | None = None,
        affine: ArrayLike | None = None,
        orientation: str = CANONICAL,
        series: str | int | None = None,
        brain_mask: Image = None,
        errors: Errors = "keep",
        progress: bool = False,
    ) -> Result | list[Result]:
        """Score an image, or each of a list of them.

        Args:
            image: a numpy array, an image of nibabel or SimpleITK, the path of a file or of the folder of a DICOM
                series; or a list or tuple of these, mixed as you like. A picture is (H, W) or (H, W, colours), of the
                type that an image file of it has; a volume (D, H, W).
            spacing: of arrays, mm per pixel or voxel along each axis of the array, or one number for all. A volume
                needs it, or an affine; a picture needs it only where the score counts in mm2.
            affine: of an array that is a volume, (4, 4) from its indices to mm in RAS+, as nibabel has it.
            orientation: of an array that is a volume and has a spacing, where its axes lead, as nibabel's axis codes.
                Without it they lead to superior, posterior, left: ``array[d]`` is an axial slice with the nose up and
                the patient's right on the left.
            series: of DICOM files with several series, which: number, UID or words of the description.
            brain_mask: of a volume, its brain mask, for a detector that was trained with
                ``data.preprocess.strip=mask``: an array of its shape, an image, a path; of a list, one for each.
            errors: of a list, 'keep' gives what cannot be scored a result with an ``error``, 'raise' ends at it. What
                is given alone always raises.
            progress: show a bar while a list is scored.

        Raises:
            MriadError: if an image cannot be read, or is nothing for this detector.
        """
        if errors not in ("keep", "raise"):
            raise unknown("errors", errors, ("keep", "raise"))
        place = Place(spacing=spacing, affine=affine, orientation=orientation)
        chosen = None if series is None else str(series)
        unlike = Unlike(predictor=self.predictor)
        if not isinstance(image, list | tuple):
            result = self._result(image, place, chosen, brain_mask, "The image", unlike)
            unlike.tell(1)
            return result
        brains = self._brains(brain_mask, len(image))
        results = []
        for number, (one, brain) in enumerate(_tracked(list(zip(image, brains, strict=True)), shown=progress)):
            try:
                results.append(self._result(one, place, chosen, brain, f"images[{number}]", unlike))
            except MriadError as error:
                if errors == "raise":
                    raise
                results.append(Result(error, calibration=self.predictor.calibration))
        unlike.tell(len(results))
        return results

    def _result(
        self, image: Image, place: Place, series: str | None, brain: Image, name: str, unlike: Unlike
    ) -> Result:
        if is_path(image):
            file, scan, prepared = self._read(image, place, series, brain)
            back = nibabel_back(scan) if scan.is_volume else same
        else:
            found = opened(image, place, name=name)
            file, scan, back = ScanFile(path=Path(name)), found.scan, found.back
            prepared = self._prepared(scan, found.spacing, brain, name)
        unlike.note(file, scan, has_brain=brain is not None)
        with self._one_at_a_time:
            (prediction,) = self.predictor([prepared])
        return Result(prediction, calibration=self.predictor.calibration, back=back)

    def _read(
        self, path: str | os.PathLike[str], place: Place, series: str | None, brain: Image
    ) -> tuple[ScanFile, Scan, Prepared]:
        """A file, found and read as ``mriad predict`` does."""
        if not glob.has_magic(os.fspath(path)) and not Path(path).expanduser().exists():
            raise MriadError(f"{os.fspath(path)} does not exist.")
        wanted = Wanted(volumes=self.of_volumes, series=series, brains=self.predictor.wants_brain)
        found = find_scans(os.fspath(path), wanted)
        if len(found) > 1:
            raise MriadError(
                f"{os.fspath(path)} names {len(found)} scans; give them as a list, as in "
                f"[{str(found[0].path)!r}, ...], or score them with 'mriad predict'."
            )
        (file,) = found
        if place.is_known and (self.of_volumes or place.affine is not None):
            raise MriadError(f"{file.path} says itself where it lies; leave out spacing and affine.")
        if place.spacing is not None:
            row, column = np.broadcast_to(np.asarray(place.spacing, dtype=float), 2)
            file = replace(file, spacing=(float(row), float(column)))
        if brain is None:
            return file, *read_prepared(file, self.predictor)
        from mriad.data.reading.read import read_scan

        scan = read_scan(file.path, series=file.series or None)
        return file, scan, self._prepared(scan, file.spacing, brain, str(file.path))

    def _prepared(self, scan: Scan, spacing: tuple[float, float] | None, brain: Image, name: str) -> Prepared:
        mask = None if brain is None or not scan.is_volume else _brain(brain, scan.grid, name)
        try:
            return self.predictor.prepare(scan, spacing=spacing, brain=mask)
        except MriadError as error:
            raise MriadError(f"{name}: {error}") from error

    def _brains(self, brain_mask: Image, images: int) -> Sequence[Image]:
        if brain_mask is None:
            return [None] * images
        if not isinstance(brain_mask, list | tuple) or len(brain_mask) != images:
            raise MriadError(
                f"brain_mask must be a list of {images} masks, one for each image; None where there is none."
            )
        return brain_mask


def _brain(brain: Image, grid: Grid, name: str) -> NDArray[np.bool_]:
    """A brain mask on the grid of its scan."""
    if is_path(brain):
        return read_mask_on(Path(brain), grid)
    if isinstance(brain, np.ndarray):
        if brain.shape != grid.shape:
            raise MriadError(
                f"The brain mask of {name} has the shape {brain.shape}, its scan {grid.shape}; give its own."
            )
        return brain > 0
    mask = opened(brain, Place(), name=f"The brain mask of {name}", labels=True).scan
    return mask_on(mask.levels > 0, mask.grid, grid, called=f"of {name}")


def _tracked(images: Sequence[Any], *, shown: bool) -> Iterable[Any]:
    if not shown:
        return images
    from rich.progress import track

    return track(images, description="Scanning")
