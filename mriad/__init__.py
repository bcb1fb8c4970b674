"""mriad: anomaly detection in brain MRI after training on healthy scans only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mriad.api import Detector, MriadError, Result, load

__all__ = ["Detector", "MriadError", "Result", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What ``mriad.api`` has for programs; it waits until it is asked for, for it brings torch."""
    if name not in __all__:
        raise AttributeError(f"module 'mriad' has no attribute '{name}'")
    from mriad import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
