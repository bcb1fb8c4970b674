"""The option files as pages: every group, choice and key with its default and comment, read from ``conf/``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from docs.generator.tables import as_markdown

CONF = Path(__file__).parents[2] / "conf"
_SILENT = ("_partial_", "_convert_", "defaults")
_TARGET = "_target_"
_PACKAGE = "@package "


@dataclass(frozen=True)
class Option:
    """A key of an option file: its full name on the command line, its default as it is written, what is said of it."""

    name: str
    default: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class OptionFile:
    """A choice of a group, or what all choices share.

    Args:
        group: folder below conf, as in 'data' or 'hydra/launcher'; '' for the config of a command.
        name: of the choice.
        about: what its first comment says.
        options: its keys.
        targets: the constructors that it names, by the name of the option that they make; '' for the file itself.
        bases: names of the choices of the same group that it starts from.
        brings: choices of other groups that come with it, as in 'score=probability'.
    """

    group: str
    name: str
    about: str
    options: tuple[Option, ...]
    targets: dict[str, str]
    bases: tuple[str, ...]
    brings: tuple[str, ...]

    @classmethod
    def read(cls, file: Path, conf: Path = CONF) -> OptionFile:
        """Read a file; comments are part of it."""
        source = file.read_text()
        lines = source.splitlines()
        group = "" if file.parent == conf else file.parent.relative_to(conf).as_posix()
        head = [line[1:].strip() for line in lines[: _head(lines)]]
        packages = [line.removeprefix(_PACKAGE) for line in head if line.startswith(_PACKAGE)]
        package = {"_global_": ""}.get(*packages, *packages) if packages else group.replace("/", ".")
        options: list[Option] = []
        targets: dict[str, str] = {}
        tree = yaml.compose(source)
        if isinstance(tree, yaml.MappingNode):
            _walk(tree, package, source, options, targets)
        defaults = (yaml.safe_load(source) or {}).get("defaults", [])
        return cls(
            group=group,
            name=file.stem,
            about=" ".join(line for line in head if not line.startswith(_PACKAGE)),
            options=tuple(options),
            targets={name.removeprefix(package).removeprefix("."): target for name, target in targets.items()},
            bases=tuple(name for name in defaults if isinstance(name, str) and name != "_self_") if group else (),
            brings=tuple(_brought(default) for default in defaults if isinstance(default, dict)),
        )


def groups(conf: Path = CONF) -> dict[str, list[OptionFile]]:
    """All option files by group, those that others start from first; '' holds the configs of the commands."""
    found: dict[str, list[OptionFile]] = {}
    for file in sorted(conf.rglob("*.yaml")):
        option_file = OptionFile.read(file, conf)
        found.setdefault(option_file.group, []).append(option_file)
    for files in found.values():
        bases = {base for file in files for base in file.bases}
        files.sort(key=lambda file: (file.name not in bases, file.name))
    return found


def group_page(group: str, files: list[OptionFile], documented: dict[str, str]) -> str:
    """The page of a group.

    Args:
        group: its name.
        files: its option files.
        documented: what the docstring of a constructor says, as Markdown, by its dotted name.
    """
    chosen = ", ".join(f"[`{file.name}`](#{_anchor(file.name)})" for file in files)
    lines = [
        f"# {group}",
        "",
        f"Choose with `{group}=NAME`; set a key with its full name, as it stands here. "
        f"Written from `conf/{group}/` when this page was built.",
        "",
        chosen,
        "",
    ]
    for file in files:
        lines += [f"## {file.name} {{ #{_anchor(file.name)} }}", "", *_file_lines(file, documented)]
    return "\n".join(lines)


def keys(file: OptionFile) -> list[str]:
    """The table of a file's keys, as lines of Markdown."""
    rows = [[f"`{option.name}`", _code(option.default), option.comment] for option in file.options]
    return as_markdown(["option", "default", ""], rows) if rows else []


def _file_lines(file: OptionFile, documented: dict[str, str]) -> list[str]:
    lines = [file.about, ""]
    if file.bases:
        lines += [f"Starts from {', '.join(f'[`{base}`](#{_anchor(base)})' for base in file.bases)}.", ""]
    if file.brings:
        lines += [f"Brings {', '.join(f'`{choice}`' for choice in file.brings)}.", ""]
    lines += [*keys(file), ""]
    for target in dict.fromkeys(file.targets.values()):
        if documented.get(target):
            lines += [f'??? info "`{target}`"', *(f"    {line}".rstrip() for line in documented[target].splitlines())]
            lines += [""]
    return lines


def _walk(node: yaml.MappingNode, prefix: str, source: str, options: list[Option], targets: dict[str, str]) -> None:
    for key, value in node.value:
        if key.value in _SILENT:
            continue
        name = f"{prefix}.{key.value}" if prefix else key.value
        if key.value == _TARGET:
            targets[prefix] = value.value
        elif isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            comment = _beside(source, key.end_mark.index + 1)
            if comment:
                options.append(Option(name, "", " ".join([*_above(source, key.start_mark.line), comment])))
            _walk(value, name, source, options, targets)
        else:
            block = isinstance(value, yaml.SequenceNode) and not value.flow_style
            beside = _beside(source, key.end_mark.index + 1) or ("" if block else _beside(source, value.end_mark.index))
            comment = " ".join([*_above(source, key.start_mark.line), beside]).strip()
            options.append(Option(name, _default(value, source, block), comment))


def _default(node: yaml.Node, source: str, block: bool) -> str:
    if not block:
        return " ".join(source[node.start_mark.index : node.end_mark.index].split())
    plain: Any = yaml.SafeLoader("").construct_document(node)
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000, sort_keys=False).strip()


def _beside(source: str, index: int) -> str:
    """The comment behind a place, on its line."""
    found = re.match(r"[ \t]*#[ ]?(.*)", source[index:].partition("\n")[0])
    return found[1].strip() if found else ""


def _above(source: str, line: int) -> list[str]:
    """The lines of comment right above a line, unless they are the head of the file."""
    lines = source.splitlines()
    found: list[str] = []
    for number in range(line - 1, _head(lines) - 1, -1):
        if not lines[number].strip().startswith("#"):
            break
        found.insert(0, lines[number].strip().lstrip("# "))
    return found


def _head(lines: list[str]) -> int:
    """How many lines of comment the file begins with."""
    return next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))


def _brought(default: dict[str, str]) -> str:
    ((key, value),) = default.items()
    return f"{key.removeprefix('override ').removeprefix('/')}={'null' if value is None else value}"


def _anchor(name: str) -> str:
    return name.replace("_", "-")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
