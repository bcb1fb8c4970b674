"""The detector in the box: the checkpoint that comes with mriad, for whoever has trained none."""

from __future__ import annotations

import logging
from pathlib import Path

PLACE = Path(__file__).parents[1] / "box" / "detector.ckpt"

log = logging.getLogger(__name__)


def boxed() -> Path:
    """The checkpoint in the box; says what it is."""
    log.warning(
        "No detector is named, so the one that comes with mriad looks at the scans: it was trained on T1-weighted "
        "heads of a few healthy people, and is no medical device. What it finds and misses: "
        "docs/reference/detector_in_the_box.md."
    )
    return PLACE
