"""Where and when a line is measured: what it says of itself beside its values."""

from __future__ import annotations

import subprocess
from datetime import date

from benchmarks.results.history import ROOT
from mriad.errors import MriadError

_MATTERS = ("mriad", "conf", "benchmarks", "hydra_plugins", "train.py", "evaluate.py", "predict.py")


def today() -> dict[str, str]:
    """Commit, date and machine of a measurement that is made now.

    Raises:
        MriadError: if git knows no commit, or code has changed that is not committed: nobody could repeat the numbers.
    """
    from benchmarks.table import machine

    changed = _git("status", "--porcelain", "--", *_MATTERS)
    if changed:
        raise MriadError(
            f"Commit your changes before you measure ({changed.split()[1]}, ...): a line names its commit."
        )
    return {"commit": _git("rev-parse", "--short", "HEAD"), "date": date.today().isoformat(), "machine": machine()}


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise MriadError(f"git knows no commit of {ROOT}; measure in a clone, for a line names its commit.")
    return done.stdout.strip()
