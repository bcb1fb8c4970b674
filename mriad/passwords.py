"""Keeps passwords out of all that is written: an address goes about with *** for its password, and finds it again.

What a user types (options, ``MLFLOW_TRACKING_URI``) is changed before Hydra or MLflow see it, so that no config, tag,
checkpoint, pickle or command line can hold a password. The whole addresses stay in an environment variable, for this
process and those that it starts; ``whole`` gives one back where a connection is made.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

VARIABLE = "MRIAD_ADDRESSES"  # the whole addresses by the shown ones, as JSON
_STORE = "MLFLOW_TRACKING_URI"
_STARS = "***"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*://"
# the longest that may be one address: an '@' in a password need not be encoded, nor a '/'
_PORT = r"(?!\d{1,5}[/?#])"
_USER = re.compile(rf"({_SCHEME}[^\s/@:'\"]*):{_PORT}((?:(?!,{_SCHEME})[^\s'\"])*)@")
_WHOLE = re.compile(rf"^({_SCHEME}[^\s/@:]*):{_PORT}(.*)@", re.DOTALL)
_PATIENT = "patient|accession|0010[0-9a-f]{4}|00080050"  # of a query to an archive, by keyword or tag
_SECRET = rf"[\w.-]*(?:pass|pwd|secret|token|key|odbc_connect|{_PATIENT})[\w.-]*"
_QUERY = re.compile(rf"([?&;]{_SECRET}=)([^&;\s'\"]+)", re.IGNORECASE)
_WORD = re.compile(r"(?i)(\b(?:password|passwd|pwd)\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s'\",;&]+)")  # of a driver's message
_ADDRESS = re.compile(rf"{_SCHEME}(?:(?!,{_SCHEME})[^\s'\"])+")
_DIVIDERS = re.compile(r"[/?#:@]")
_SHORT = 6  # characters below which a password is looked for as a word of its own only
_plain_record = logging.getLogRecordFactory()


def shown(text: str) -> str:
    """A text with *** for the passwords of the addresses in it: those before '@', and those in a query."""
    return _QUERY.sub(rf"\1{_STARS}", _USER.sub(_without_password, text))


def conceal(address: str) -> str:
    """An address as it may be written, and remembered with its password."""
    as_shown = _shown_whole(address)
    if as_shown != address and "${" not in address:
        os.environ[VARIABLE] = json.dumps({**_known(), as_shown: address})
        _guard()
    return as_shown


def whole(address: str) -> str | None:
    """An address with its password again; None if it is not known here.

    Args:
        address: one that may have been concealed.
    """
    return _known().get(address) if _STARS in address else address


def is_ambiguous(address: str) -> bool:
    """Whether the password of a whole address holds letters that a driver takes for the end of it."""
    found = _WHOLE.match(address)
    return found is not None and _DIVIDERS.search(found[2]) is not None


def hide(text: str) -> str:
    """A text that others have written, as an error, without any password that is known here or looks like one."""
    for address in _known().values():
        for secret in sorted(_secrets(address), key=len, reverse=True):
            pattern = re.escape(secret)
            text = re.sub(pattern if len(secret) >= _SHORT else rf"(?<!\w){pattern}(?!\w)", _STARS, text)
    return _WORD.sub(rf"\1{_STARS}", shown(text))


def conceal_command(arguments: Iterable[str]) -> list[str]:
    """The options of a command, with their passwords concealed."""
    return [_concealed_option(argument) for argument in arguments]


def conceal_environment() -> None:
    """Conceal the password of the store that the environment names."""
    if address := os.environ.get(_STORE):
        os.environ[_STORE] = conceal(address)
    if _known():
        _guard()


def conceal_config(config: DictConfig | ListConfig) -> None:
    """Conceal passwords in a config in place, as they come from an option file or an interpolation."""
    keys: Iterable[Any] = config.keys() if isinstance(config, DictConfig) else range(len(config))
    for key in list(keys):
        try:
            value = config[key]
        except OmegaConfBaseException:  # it has no value here, or not yet
            continue
        if isinstance(value, DictConfig | ListConfig):
            if not OmegaConf.is_interpolation(config, key):
                conceal_config(value)
        elif isinstance(value, str) and (as_shown := conceal(value)) != value:
            with open_dict(config):
                config[key] = as_shown


def conceal_files(folder: Path) -> None:
    """Conceal passwords in the YAML files of a folder, which Hydra has written before anybody was asked."""
    for file in folder.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        if (clean := shown(text)) != text:
            file.write_text(clean, encoding="utf-8")


def _without_password(found: re.Match[str]) -> str:
    return found[0] if found[2].startswith("${") or not found[2] else f"{found[1]}:{_STARS}@"


def _shown_whole(address: str) -> str:
    """One address as a whole: its password may hold spaces and quotes, which end it in a text."""
    return shown(_WHOLE.sub(_without_password, address))


def _known() -> dict[str, str]:
    return json.loads(os.environ.get(VARIABLE) or "{}")


def _concealed_option(argument: str) -> str:
    name, equals, value = argument.partition("=")
    mark = value[:1] if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1 else ""
    inner = value[1:-1].replace(f"\\{mark}", mark) if mark else value
    if equals and re.match(_SCHEME, inner) and not re.search(rf",{_SCHEME}", inner):
        as_shown = conceal(inner)
        return f"{name}={mark}{as_shown}{mark}" if as_shown != inner else argument
    return _ADDRESS.sub(_concealed, argument)


def _concealed(found: re.Match[str]) -> str:
    bare = found[0].rstrip("]})")
    return conceal(bare) + found[0][len(bare) :]


def _secrets(address: str) -> set[str]:
    """The passwords of an address, in each way in which a library may write them."""
    found = {match[2] for pattern in (_WHOLE, _QUERY) for match in pattern.finditer(address)}
    found |= {part for secret in found for part in _DIVIDERS.split(secret)}  # a driver takes such a part for the host
    plain = {form(secret) for secret in found for form in (unquote, unquote_plus)}
    return {form for secret in found | plain for form in (secret, quote(secret, safe=""), quote_plus(secret))} - {""}


def _guard() -> None:
    """See that neither a log nor a stack trace of this process holds a password."""
    logging.setLogRecordFactory(_record)
    sys.excepthook = _tell


def _record(*arguments: Any, **options: Any) -> logging.LogRecord:
    record: logging.LogRecord = _plain_record(*arguments, **options)
    record.msg, record.args = hide(record.getMessage()), None
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = hide("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return record


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(hide("".join(traceback.format_exception(kind, error, trace))))
