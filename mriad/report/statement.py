"""Sentences of a report, and how numbers stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Statement:
    """A sentence, and whether it is good news, bad news or neither."""

    tone: Tone
    text: str


def percent(share: float) -> str:
    """A share as it is printed: '12.3 %'."""
    return f"{100 * share:.1f} %"


def between(interval: tuple[float, float] | None, *, as_percent: bool = False, digits: int = 3) -> str:
    """An interval as it is printed behind its number: ' [0.700, 0.812]'; '' for none."""
    if interval is None:
        return ""
    low, high = interval
    return f" [{100 * low:.1f}, {100 * high:.1f}]" if as_percent else f" [{low:.{digits}f}, {high:.{digits}f}]"
