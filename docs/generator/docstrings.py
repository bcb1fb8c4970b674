"""What docstrings say, as Markdown, read by griffe without importing mriad."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]


@cache
def _package(name: str) -> griffe.Object:
    loaded = griffe.load(name, search_paths=[ROOT], docstring_parser=griffe.Parser.google, resolve_aliases=True)
    assert isinstance(loaded, griffe.Object)
    return loaded


def documented(target: str) -> str:
    """The docstring of a constructor by its dotted name, as Markdown; '' for one of another package."""
    package, _, path = target.partition(".")
    if package not in ("mriad", "hydra_plugins"):
        return ""
    return _markdown(_package(package)[path])


def function(name: str) -> str:
    """The docstring of the function of mriad that has this name, wherever it lies."""
    return _markdown(_named(name))


def value(name: str) -> Any:
    """The literal that a module of mriad gives to a name, wherever it lies; 'names.IMAGE' is that of names.py."""
    attribute = _named(name)
    assert isinstance(attribute, griffe.Attribute)
    return ast.literal_eval(str(attribute.value))


def _named(name: str) -> griffe.Object:
    found = [item for item in _within(_package("mriad"), name.rpartition(".")[2]) if item.path.endswith(f".{name}")]
    if len(found) != 1:
        raise LookupError(f"{len(found)} definitions in mriad are called {name}; the reference needs one.")
    return found[0]


def _within(module: griffe.Object, name: str) -> list[griffe.Object]:
    own = [member for key, member in module.members.items() if key == name and isinstance(member, griffe.Object)]
    inner = [child for child in module.members.values() if isinstance(child, griffe.Module)]
    return [*own, *(found for child in inner for found in _within(child, name))]


def _markdown(item: griffe.Object | griffe.Alias) -> str:
    if item.docstring is None:
        return ""
    parts = []
    for section in item.docstring.parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.text:
            parts.append(section.value)
        elif section.kind is griffe.DocstringSectionKind.parameters:
            parts.append("\n".join(f"- `{one.name}`: {_line(one.description)}" for one in section.value))
        elif section.kind is griffe.DocstringSectionKind.returns:
            parts += [f"Returns {_line(one.description)}" for one in section.value]
        elif section.kind is griffe.DocstringSectionKind.raises:
            parts += [f"Raises `{one.annotation}` {_line(one.description)}" for one in section.value]
    return "\n\n".join(part.replace("``", "`") for part in parts)


def _line(text: str) -> str:
    return " ".join(text.split())
