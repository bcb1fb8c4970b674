"""What the three commands share: Hydra around a task, and one sentence instead of a stack trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mriad.errors import MriadError

Task = Callable[[DictConfig], float | None]
_FULL = "HYDRA_FULL_ERROR"


def run(load_task: Callable[[], Task], *, config: str) -> None:
    """Run a task under Hydra with the command line's options.

    Bad input and bad options end with one sentence and exit code 1, and with a stack trace only under
    ``HYDRA_FULL_ERROR=1``; Ctrl-C ends with exit code 130.

    Args:
        load_task: imports and returns the task, so that ``--help`` need not wait for it.
        config: name of the primary config in ``conf``.
    """
    full = os.environ.get(_FULL) == "1"
    os.environ[_FULL] = "1"  # Hydra then passes exceptions on instead of printing them itself

    def job(cfg: DictConfig) -> float | None:
        os.environ.pop(_FULL, None)
        try:
            return load_task()(cfg)
        except (MriadError, HydraException, OmegaConfBaseException) as error:
            if full or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            return _fail(error)
        finally:
            os.environ[_FULL] = "1"

    conf = Path(__file__).parent.parent / "conf"
    main = hydra.main(version_base="1.3", config_path=str(conf), config_name=config)(job)
    try:
        main()
    except KeyboardInterrupt as interrupt:
        print(f"Interrupted; {interrupt}" if str(interrupt) else "Interrupted.", file=sys.stderr)
        sys.exit(130)
    except (MriadError, HydraException, OmegaConfBaseException) as error:
        if full:
            raise
        _fail(error)


def _fail(error: BaseException) -> NoReturn:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MriadError):  # Hydra wraps what a constructor raises
        cause = cause.__cause__
    text = _unknown_option(error) or str(cause or error) or str(error.__cause__)
    sentence = " ".join(line.strip() for line in text.splitlines() if line.strip())
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(1)


def _unknown_option(error: BaseException) -> str | None:
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).partition("/")
        return f"{group}={name} is unknown; choose one of {', '.join(error.options)}."
    if isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError):
        return f"There is no option '{error.__cause__.full_key}'; --help lists those there are."
    return None
