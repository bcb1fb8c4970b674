"""Whether the options have values of the kinds that their constructors take."""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from mriad.errors import MriadError

_LISTS = (Iterable, Collection, set)
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


def require_kinds(cfg: DictConfig) -> None:
    """Raise a MriadError if an option holds a list, a truth value or text where its constructor takes a number, etc.

    What a constructor takes is read from its annotations, so that it is written once. NaN is no number. Options that
    repeat another one are left to that one, and what has no annotation to its constructor.
    """
    for prefix, node in _constructors(cfg, ""):
        taken = _annotations(str(node.get("_target_")))
        for name in map(str, node):
            if name not in taken or OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name):
                continue
            if not _says_itself(taken[name]) and not _fits(node[name], taken[name]):
                option = f"{prefix}.{name}"
                raise MriadError(f"{option}={_shown(node[name])} is of the wrong kind; give {_in_words(taken[name])}.")


def _constructors(node: Any, prefix: str) -> Iterator[tuple[str, DictConfig]]:
    """Every part of a config that becomes an object, by its dotted name; copies by interpolation are left out."""
    if isinstance(node, DictConfig) and "_target_" in node and not OmegaConf.is_missing(node, "_target_"):
        yield prefix, node
    inner: list[tuple[Any, str]]
    if isinstance(node, ListConfig):
        inner = [(index, f"{prefix}[{index}]") for index in range(len(node))]
    elif isinstance(node, DictConfig) and not node._is_none():
        inner = [(key, f"{prefix}.{key}" if prefix else str(key)) for key in map(str, node)]
    else:
        return
    for key, name in inner:
        if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            yield from _constructors(node[key], name)


@cache
def _annotations(target: str) -> dict[str, Any]:
    """What a class or function takes, its base classes included."""
    try:
        found = get_object(target)
    except (ImportError, AttributeError, ValueError):
        return {}  # the one who makes it says so
    made_by = [vars(base).get("__init__") for base in reversed(found.__mro__)] if isinstance(found, type) else [found]
    taken: dict[str, Any] = {}
    for call in filter(None, made_by):
        try:
            parameters = inspect.signature(call).parameters.values()
        except (TypeError, ValueError):  # of a library that keeps them to itself
            continue
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        taken |= {one.name: _meant(one.annotation, call) for one in parameters if one.kind in named}
    return {name: kind for name, kind in taken.items() if kind is not inspect.Parameter.empty}


def _meant(annotation: Any, call: Any) -> Any:
    """The type that an annotation names, ``inspect.Parameter.empty`` where it is only known to type checkers."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, getattr(call, "__globals__", {}))
    except (NameError, AttributeError, TypeError):
        return inspect.Parameter.empty


def _says_itself(kind: Any) -> bool:
    """Whether a constructor takes a mapping or objects, of which it can say more than that they are none."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for home, inner in ((get_origin(one) or one, get_args(one)) for one in kinds):
        if isinstance(home, type) and issubclass(home, Mapping) and not {*inner} & {int, float}:
            return True
        if isinstance(home, type) and _is_list(home) and not {*inner} <= {int, float, str, bool, ...}:
            return True
    return False


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, tuple({type(one) for one in inner}))
    if kind in (bool, None, NoneType):
        return isinstance(value, bool if kind is bool else NoneType)
    if kind in (int, float):
        number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        return number and not math.isnan(value)
    home = origin or kind
    if home in (str, Path, PathLike):
        return isinstance(value, str)
    if not isinstance(home, type):
        return True  # nothing that could be told
    if isinstance(value, ListConfig):
        elements = [one for one in inner if one is not ...]
        if not elements:
            return _is_list(home)
        return _is_list(home) and all(any(_fits(element, one) for one in elements) for element in value)
    if isinstance(value, DictConfig):
        if "_target_" in value or not issubclass(home, Mapping):
            return "_target_" in value
        return len(inner) < 2 or all(_fits(element, inner[1]) for element in value.values())
    return False  # one value for an object, a list or a mapping


def _is_list(home: type) -> bool:
    return issubclass(home, Sequence) or home in _LISTS


def _in_words(kind: Any) -> str:
    """A kind in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        words = list(dict.fromkeys(_in_words(one) for one in inner))
        return ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0]
    if origin is Literal:
        return " or ".join(map(str, inner))
    home = origin or kind
    if home in _WORDS:
        return _WORDS[home]
    if home in (Path, PathLike):
        return "a path"
    if isinstance(home, type) and issubclass(home, Mapping):
        return "a mapping" + (
            f" to {_in_words(inner[1]).removeprefix('a ')}s" if len(inner) == 2 and inner[1] in (int, float) else ""
        )
    if isinstance(home, type) and _is_list(home):
        elements = [_in_words(one).removeprefix("a ") for one in inner if one is not ...]
        return f"a list of {elements[0]}s" if elements and elements[0].endswith("number") else "a list"
    return f"an object ({getattr(home, '__name__', home)})"


def _shown(value: Any) -> str:
    plain = OmegaConf.to_container(value, resolve=False) if OmegaConf.is_config(value) else value
    return str(plain).lower() if isinstance(plain, bool) else "null" if plain is None else str(plain)
