"""What sets a scan apart from those that its detector was trained on, told once for all scans of a prediction."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field

from mriad.data.layouts.contrasts import contrast_in, contrast_of
from mriad.data.reading.scan import Scan
from mriad.prediction.predictor import Predictor
from mriad.prediction.scan_files import ScanFile

log = logging.getLogger(__name__)

_FACTOR = 1.5  # between widest voxels: a scan of 3 mm beside those of 2 mm is no other kind


@dataclass(kw_only=True)
class Unlike:
    """Counts the volumes that are of another contrast or spacing than those that trained, or lack a brain mask.

    A contrast is known by a scan's name or by the description of its DICOM series. Spacings are compared as far as the
    detector can see: what is finer than its working grid is seen on that.

    Args:
        predictor: the detector.
    """

    predictor: Predictor
    _contrasts: Counter[str] = field(default_factory=Counter)
    _spacings: list[float] = field(default_factory=list)
    _without_brain: int = 0

    def note(self, file: ScanFile, scan: Scan, *, has_brain: bool = False) -> None:
        """Look at one scan; ``has_brain`` says that it has a brain mask, should its file not name one."""
        if not scan.is_volume:
            return
        contrast = file.contrast or contrast_in(scan.facts.series)[0]
        trained = {contrast_of(name) or name for name in self.predictor.trained.get("contrasts", [])}
        if contrast and trained and (contrast_of(contrast) or contrast) not in trained:
            self._contrasts[contrast] += 1
        working = self.predictor.working_spacing
        if known := self.predictor.trained.get("spacing"):
            seen = max(working, *scan.grid.spacing)
            if seen > _FACTOR * max(working, known[1]) or max(working, known[0]) > _FACTOR * seen:
                self._spacings.append(max(scan.grid.spacing))
        self._without_brain += self.predictor.wants_brain and not (has_brain or file.brain_mask)

    def tell(self, scans: int) -> None:
        """Warn of what was noted among so many scans."""
        trained = self.predictor.trained
        if self._contrasts:
            log.warning(
                "%d of %d scans are of another contrast (%s) than those that the detector was trained on (%s): what is "
                "strange to it may be the contrast.",
                self._contrasts.total(),
                scans,
                ", ".join(sorted(self._contrasts)),
                ", ".join(trained["contrasts"]),
            )
        if self._spacings:
            log.warning(
                "%d of %d scans have another spacing (widest voxels of %s mm) than those that the detector was trained "
                "on (%s mm), which it sees at %g mm: what is strange to it may be the spacing.",
                len(self._spacings),
                scans,
                _span(min(self._spacings), max(self._spacings)),
                _span(*trained["spacing"]),
                self.predictor.working_spacing,
            )
        if self._without_brain:
            log.warning(
                "%d of %d scans come without a brain mask, and the detector was trained on scans that were cut to "
                "theirs (data.preprocess.strip=mask): name the masks in a CSV file or in the folder brain_masks/.",
                self._without_brain,
                scans,
            )


def _span(low: float, high: float) -> str:
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
