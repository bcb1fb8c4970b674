"""The detector in the box: the checkpoint that comes with mriad, for whoever has trained none."""

from __future__ import annotations

from pathlib import Path

PLACE = Path(__file__).parents[1] / "box" / "detector.ckpt"


def boxed() -> Path | None:
    """The checkpoint in the box; None where this mriad comes without one."""
    return PLACE if PLACE.is_file() else None
