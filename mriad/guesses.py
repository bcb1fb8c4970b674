"""What a user may have meant: the nearest of what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

_NEAR, _NEAR_ENOUGH = 0.8, 0.7  # share of letters that two names have in common, as difflib counts it


def nearest(word: object, known: Iterable[object], *, share: float = 0.65) -> str | None:
    """The one of several names that is nearest to a word, None if none resembles it.

    Args:
        word: what was typed.
        known: what there is.
        share: of letters that they have in common at least; but a beginning will do.
    """
    names = {str(name).lower(): str(name) for name in known}
    typed = str(word).lower()
    begun = [name for name in names if typed and len(typed) > 2 and name.startswith(typed)]
    found = [*difflib.get_close_matches(typed, names, n=1, cutoff=share), *begun]
    return names[found[0]] if found else None


def nearest_option(name: str, known: Iterable[str]) -> str | None:
    """The dotted option that ends as a name does, resembles it as a whole, or in its last part, whatever its group.

    Args:
        name: dotted name as it was typed.
        known: dotted names of all options.
    """
    asked_of_hydra = name.startswith("hydra")
    names = sorted(
        (option for option in known if option.startswith("hydra") == asked_of_hydra),
        key=lambda option: (option.count("."), option),
    )
    last_parts: dict[str, str] = {}
    for option in names:
        last_parts.setdefault(option.rpartition(".")[2], option)
    last = name.rpartition(".")[2]
    if last in last_parts:
        return last_parts[last]
    if whole := difflib.get_close_matches(name, names, n=1, cutoff=_NEAR):
        return whole[0]
    near = difflib.get_close_matches(last, last_parts, n=1, cutoff=_NEAR_ENOUGH)
    return last_parts[near[0]] if near else None


def known_options(conf: Path, command: str, arguments: Sequence[str]) -> list[str]:
    """Dotted names of the options of a command, and its groups of option files; what its arguments choose is chosen.

    Args:
        conf: folder of the option files.
        command: name of its primary config.
        arguments: command line.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    chosen = [argument for argument in arguments if _choice(conf, argument) is not None]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        try:
            config = compose(command, overrides=chosen, return_hydra_config=True)
        except Exception:  # the choices do not fit together, which is another error than the one told
            config = compose(command, return_hydra_config=True)
    return [*map(str, config.hydra.runtime.choices), *_names(OmegaConf.to_container(config, resolve=False))]


def option_files_with(conf: Path, name: str) -> list[str]:
    """The choices, as in ``model=vae``, whose option files have an option.

    Args:
        conf: folder of the option files.
        name: dotted name of the option.
    """
    found: list[str] = []
    bases: dict[str, list[str]] = {}  # choices that start from a file, which may be none itself
    for file in sorted(conf.glob("*/*.yaml")):
        text = file.read_text(encoding="utf-8")
        content, choice = yaml.safe_load(text), f"{file.parent.name}={file.stem}"
        for base in (content or {}).get("defaults", ()):
            bases.setdefault(f"{file.parent.name}={base}", []).append(choice)
        package = text.partition("# @package ")[2].partition("\n")[0].strip() or file.parent.name
        if name in _names(content, "" if package == "_global_" else package):
            found.append(choice)
    return [choice for one in found for choice in (bases.get(one, []) if one.endswith("base") else [one])]


def _choice(conf: Path, argument: str) -> Path | None:
    group, _, value = argument.partition("=")
    file = conf / group / f"{value}.yaml"
    return file if value and "." not in group and file.is_file() else None


def _names(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            name = f"{prefix}.{key}" if prefix else str(key)
            if not name.rpartition(".")[2].startswith("_"):
                yield name
                yield from _names(value, name)
