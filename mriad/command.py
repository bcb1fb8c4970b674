"""What the commands share: Hydra around a task, and one sentence instead of a stack trace."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mriad.errors import MriadError, fail, told
from mriad.interrupts import listen
from mriad.invocation import option_files

Task = Callable[[DictConfig], float | None]
_FULL = "HYDRA_FULL_ERROR"


def run(load_task: Callable[[], Task], *, config: str) -> None:
    """Run a task under Hydra with the command line's options.

    Bad input and bad options end with one sentence and exit code 1, and with a stack trace only under
    ``HYDRA_FULL_ERROR=1``; Ctrl-C, and the signals that stop like it, end with exit code 130.

    Args:
        load_task: imports and returns the task, so that ``--help`` need not wait for it.
        config: name of the primary config in ``conf``.
    """
    listen()
    full = os.environ.get(_FULL) == "1"
    os.environ[_FULL] = "1"  # Hydra then passes exceptions on instead of printing them itself

    def job(cfg: DictConfig) -> float | None:
        os.environ.pop(_FULL, None)
        try:
            _require_sweep(cfg)
            return load_task()(cfg)
        except (MriadError, HydraException, OmegaConfBaseException) as error:
            if full or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            return _fail(error)
        finally:
            os.environ[_FULL] = "1"

    main = hydra.main(version_base="1.3", config_path=str(option_files()), config_name=config)(job)
    try:
        main()
    except KeyboardInterrupt as interrupt:
        print(f"Interrupted; {interrupt}" if str(interrupt) else "Interrupted.", file=sys.stderr)
        sys.exit(130)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into an exit with code 1
            print("Interrupted.", file=sys.stderr)
            sys.exit(130)
        raise
    except (MriadError, HydraException, OmegaConfBaseException) as error:
        if full:
            raise
        _fail(error)


def _require_sweep(cfg: DictConfig) -> None:
    """Raise a MriadError if a single run is given what only a sweep understands."""
    if cfg.get("resume_sweep") is not None and HydraConfig.get().mode != RunMode.MULTIRUN:
        raise MriadError(f"resume_sweep={cfg.resume_sweep} goes on with a sweep, and this is a single run; add -m.")


def _fail(error: BaseException) -> NoReturn:
    fail(_bad_option(error) or str(told(error) or error) or str(error.__cause__))


def _bad_option(error: BaseException) -> str | None:
    if isinstance(error, OverrideParseException):
        return (
            f"'{error.override}' cannot be understood; write name=value, with a second pair of quotes round a value "
            "that holds spaces, commas, brackets or '=', as in 'name=\"a b\"'."
        )
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).partition("/")
        return f"{group}={name} is unknown; choose one of {', '.join(error.options)}."
    if isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError):
        return f"There is no option '{error.__cause__.full_key}'; --help lists those there are."
    if unknown := re.match(r"Could not override '([^']+)'", str(error)):
        return f"There is no option '{unknown[1]}' here; --help lists those there are."
    if isinstance(error, InstantiationException) and error.__cause__ is not None and told(error) is None:
        where = re.search(r"full_key: (\S+)", str(error))
        return f"The options {where[1] if where else ''} cannot be used: {error.__cause__}"
    return None
