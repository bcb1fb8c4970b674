"""What the commands share: Hydra around a task, and one sentence instead of a stack trace."""

from __future__ import annotations

import itertools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mriad.errors import MriadError, fail, mriad_error, unknown
from mriad.guesses import known_options, nearest, nearest_option, option_files_with
from mriad.interrupts import listen
from mriad.invocation import CONF, option_files
from mriad.passwords import conceal_command, conceal_config, conceal_environment, conceal_files, hide

Task = Callable[[DictConfig], float | None]
_FULL = "HYDRA_FULL_ERROR"
_OTHERS = ("train", "evaluate")  # commands whose options are asked of another one
_RANGES = ("choice", "range", "interval", "tag", "glob", "shuffle", "sort")


def run(load_task: Callable[[], Task], *, config: str) -> None:
    """Run a task under Hydra with the command line's options.

    Bad input and bad options end with one sentence and exit code 1, and with a stack trace only under
    ``HYDRA_FULL_ERROR=1``; Ctrl-C, and the signals that stop like it, end with exit code 130.

    Args:
        load_task: imports and returns the task, so that ``--help`` need not wait for it.
        config: name of the primary config in ``conf``.
    """
    listen()
    logging.raiseExceptions = False  # what cannot be logged is no reason for a stack trace
    conceal_environment()
    sys.argv[1:] = conceal_command(sys.argv[1:])
    _require_no_dashes(config)
    full = os.environ.get(_FULL) == "1"
    os.environ[_FULL] = "1"  # Hydra then passes exceptions on instead of printing them itself

    def job(cfg: DictConfig) -> float | None:
        os.environ.pop(_FULL, None)
        conceal_environment()
        conceal_config(cfg)
        hydra_cfg = HydraConfig.get()
        conceal_files(Path(hydra_cfg.runtime.output_dir) / (hydra_cfg.output_subdir or ""))
        try:
            _require_sweep(cfg)
            return load_task()(cfg)
        except Exception as error:
            if full or hydra_cfg.mode == RunMode.MULTIRUN or not _is_told(error):
                raise
            return _fail(error, config)
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
    except Exception as error:
        if not _is_told(error):
            raise
        if full:
            sys.stderr.write(hide(traceback.format_exc()))
            sys.exit(1)
        _fail(error, config)


def _require_no_dashes(config: str) -> None:
    """End the command if an option is written as other programs write theirs."""
    flags = get_args_parser()._option_string_actions
    for argument, value in itertools.pairwise([*sys.argv[1:], ""]):
        name, _, assigned = argument.partition("=")
        if not name.startswith("--") or name == "--" or any(flag.startswith(name) for flag in flags):
            continue
        if flag := nearest(name, flags):
            fail(f"There is no {name}, perhaps {flag} was meant; --help lists what there is.")
        option = nearest_option(name.lstrip("-").replace("-", "_"), known_options(CONF, config, sys.argv[1:]))
        example = f"{option or name.lstrip('-')}={assigned or value or '...'}"
        fail(f"{name} is no option of this command; write options as name=value without dashes, as in {example}.")


def _require_sweep(cfg: DictConfig) -> None:
    """Raise a MriadError if a single run is given what only a sweep understands."""
    if cfg.get("resume_sweep") is not None and HydraConfig.get().mode != RunMode.MULTIRUN:
        raise MriadError(f"resume_sweep={cfg.resume_sweep} goes on with a sweep, and this is a single run; add -m.")


def _is_told(error: Exception) -> bool:
    """Whether a user is to read a sentence: of bad input, of a bad option, or of a full disk, wherever it was met."""
    return isinstance(error, HydraException | OmegaConfBaseException) or mriad_error(error) is not None


def _fail(error: BaseException, config: str) -> NoReturn:
    fail(_bad_option(error, config) or str(mriad_error(error) or error) or str(error.__cause__))


def _bad_option(error: BaseException, config: str) -> str | None:
    if isinstance(error, OverrideParseException):
        return _not_understood(error)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        shared = {option for option in error.options if option.endswith("base")}  # what choices of a group start from
        return str(unknown(group, name, [option for option in error.options if option not in shared]))
    if isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError):
        return _no_option(str(error.__cause__.full_key), config)
    if missing := re.match(r"Could not (?:override|delete from config.*?) ?'([^']+)'", str(error)):
        return _no_option(missing[1], config)
    if isinstance(error, InstantiationException) and error.__cause__ is not None and mriad_error(error) is None:
        where = re.search(r"full_key: (\S+)", str(error))
        return f"The options {where[1] if where else ''} cannot be used: {error.__cause__}"
    return None


def _not_understood(error: OverrideParseException) -> str:
    if (wrong := re.search(r"Unknown function '([^']+)'", str(error))) and (guess := nearest(wrong[1], _RANGES)):
        return f"'{error.override}' has no range, for there is no '{wrong[1]}'; perhaps '{guess}' was meant."
    typed = str(error.override)
    cause = ""
    if "=" not in typed and not typed.startswith("~"):
        cause = ", for it is no option but a word of its own (of a value with a space?)"
    elif any(typed.count(mark) % 2 for mark in ("'", '"')):
        cause = ", for a quote is opened and not closed"
    elif any(typed.count(opened) != typed.count(closed) for opened, closed in ("[]", "{}", "()")):
        cause = ", for a bracket has no partner"
    return (
        f"'{typed}' cannot be understood{cause}; write name=value, with a second pair of quotes round a value that "
        "holds spaces, commas, brackets or '=', as in 'name=\"a b\"'."
    )


def _no_option(name: str, config: str) -> str:
    """There is no such option: the nearest one, or where it is one."""
    known = known_options(CONF, config, sys.argv[1:])
    files = [file for file in option_files_with(CONF, name) if file.partition("=")[0] in known]
    if "." in name and files:
        clause = f"it belongs to {' and '.join(files[:3])}"
    elif others := [other for other in _OTHERS if other != config and name in known_options(CONF, other, ())]:
        clause = f"it belongs to {others[0]}.py"
    elif guess := nearest_option(name, known):
        clause = f"perhaps '{guess}' was meant"
    else:
        return f"There is no option '{name}' here; --help lists those there are."
    return f"There is no option '{name}' here, {clause}; --help lists those there are."
