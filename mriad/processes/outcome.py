"""How a task ended, in words that travel between processes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mriad.errors import MriadError, mriad_error, reason
from mriad.passwords import hide

Task = Callable[[DictConfig], float | None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended.

    Args:
        value: what it returned: the objective, None where it has none.
        failure: why it failed, in one line; None if it finished.
        plain: whether the failure is a sentence that needs nothing else.
    """

    value: float | None = None
    failure: str | None = None
    plain: bool = True


def attempt(task: Task, cfg: DictConfig) -> Outcome:
    """Run a task that tells how it ended instead of raising; only an interrupt gets through."""
    try:
        return Outcome(value=task(cfg))
    except MriadError as error:
        return Outcome(failure=str(error))
    except (HydraException, OmegaConfBaseException) as error:
        sentence = mriad_error(error)
        return Outcome(failure=str(sentence) if sentence else f"The options cannot be used: {error.__cause__ or error}")
    except Exception as error:
        print(hide(traceback.format_exc()), file=sys.stderr)
        return Outcome(failure=reason(error), plain=False)
