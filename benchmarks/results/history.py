"""Whether the code that a measured line rests on has changed since, as far as git knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

ROOT = Path(__file__).parents[2]
ROOMS = ("data", "models", "published", "scoring", "metrics", "thresholds")
_NO_MATTER = ("hydra", "logger")  # groups that say nothing of the result
_OF_MODELS = ("mriad.models", "mriad.published")
_CODE = [*(f"mriad/{room}" for room in ROOMS), "conf"]


def changed_since(commit: str, command: str | None, root: Path = ROOT) -> list[str] | None:
    """Files that bear on a command's result and do something else than they did at a commit.

    What is worded otherwise (comments, docstrings, layout), imported from elsewhere or moved is not changed. Other
    models and other data sets than the command's do not bear on it.

    Args:
        commit: at which it was measured.
        command: with the names of model, data and experiment; None if everything bears on it.
        root: the repository.

    Returns:
        their paths today; None where git cannot say (no history, or a commit that it does not hold).
    """
    changes = _changes(commit, root)
    if changes is None or command is None:
        return None if changes is None else list(changes)
    return [file for file in changes if _bears(file, command, root)]


@cache
def _changes(commit: str, root: Path) -> tuple[str, ...] | None:
    told = _git(root, "diff", "--name-status", "--find-renames", commit, "--", *_CODE) if commit else None
    if told is None:
        return None
    changed = []
    for line in told.splitlines():
        status, *paths = line.split("\t")
        old, new = paths[0], paths[-1]
        before = "" if status == "A" else _substance(old, lambda file: _git(root, "show", f"{commit}:{file}") or "")
        after = "" if status == "D" else _substance(new, lambda file: (root / file).read_text())
        if before != after:
            changed.append(new)
    return tuple(changed)


def _bears(file: str, command: str, root: Path) -> bool:
    chosen = _choices(command, root)
    if file.startswith("conf/"):
        return Path(file) in _option_files(chosen, root)
    room = file.split("/")[1]
    if file.startswith("mriad/data/layouts/"):
        return Path(file).stem in ("__init__", chosen["data"])
    if file.startswith("mriad/data/synthetic/"):
        return chosen["data"] == "synthetic"
    if "/anomalies/" in file:
        return chosen["anomalies"] != "none"
    if room in ("models", "published") and not file.endswith("splits.py"):
        return file in _models_of(chosen["model"], root)
    return room in ROOMS


def _choices(command: str, root: Path) -> dict[str, str]:
    """The option file of each group that a training command uses: named, or by default of experiment, model or all."""
    named = dict(re.findall(r"(?:^| )(\w+)=(\w+)", command))
    chosen = named | {}
    for file in _with_bases(root / "conf" / "experiment" / f"{named.get('experiment')}.yaml"):
        chosen = _named_in(file) | chosen
    everyone = _named_in(root / "conf" / "train.yaml")
    model = chosen.get("model", everyone.get("model"))
    for file in _with_bases(root / "conf" / "model" / f"{model}.yaml"):
        chosen = _named_in(file) | chosen
    return {group: name for group, name in (everyone | chosen).items() if group not in _NO_MATTER}


def _option_files(chosen: dict[str, str], root: Path) -> set[Path]:
    files = [file for group, name in chosen.items() for file in _with_bases(root / "conf" / group / f"{name}.yaml")]
    return {file.relative_to(root) for file in files} | {Path("conf/train.yaml")}


def _with_bases(file: Path) -> list[Path]:
    """An option file and those that it is built on; none if it is not there."""
    if not file.exists():
        return []
    bases = [name for name in _defaults(file) if isinstance(name, str) and name != "_self_"]
    return [file, *(base for name in bases for base in _with_bases(file.with_name(f"{name}.yaml")))]


def _named_in(file: Path) -> dict[str, str]:
    named = [default for default in _defaults(file) if isinstance(default, dict)]
    return {key.removeprefix("override /"): name for default in named for key, name in default.items() if name}


@cache
def _defaults(file: Path) -> list[str | dict[str, str]]:
    return (yaml.safe_load(file.read_text()) or {}).get("defaults", [])


@cache
def _models_of(model: str, root: Path) -> frozenset[str]:
    """Files with networks that a model option needs: that of its constructor, and what these import."""
    option = root / "conf" / "model" / f"{model}.yaml"
    found: set[str] = set()
    names = re.findall(r"_target_: (mriad\.(?:models|published)[\w.]*)", option.read_text()) if option.exists() else []
    waiting = [file for name in names if (file := _defines(name, root)) is not None]
    while waiting:
        file = waiting.pop()
        if (path := str(file.relative_to(root))) in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(_OF_MODELS):
                waiting += [
                    other
                    for alias in node.names
                    if (other := _defines(f"{node.module}.{alias.name}", root)) is not None
                ]
    return frozenset(found)


def _defines(name: str, root: Path) -> Path | None:
    """The file that defines a name such as mriad.models.Autoencoder, looked for where a package imports it from."""
    module, _, last = name.rpartition(".")
    place = root.joinpath(*module.split("."))
    if place.with_suffix(".py").exists():
        return place.with_suffix(".py")
    if (place / f"{last}.py").exists():
        return place / f"{last}.py"
    init = place / "__init__.py"
    for node in ast.parse(init.read_text()).body if init.exists() else ():
        if isinstance(node, ast.ImportFrom) and node.module and last in {alias.name for alias in node.names}:
            return _defines(f"{node.module}.{last}", root)
    return None


def _substance(path: str, read: Callable[[str], str]) -> str:
    """What a file does, however it is worded, and whatever an option file leaves to those that it is built on."""
    if path.endswith((".yaml", ".yml")):
        return json.dumps(OmegaConf.to_container(_composed(path, read), resolve=False), sort_keys=True)
    text = read(path)
    if not path.endswith(".py"):
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _says_only(part)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _composed(path: str, read: Callable[[str], str]) -> DictConfig | ListConfig:
    content = yaml.safe_load(read(path))
    named = content.get("defaults", []) if isinstance(content, dict) else []
    if bases := [name for name in named if isinstance(name, str) and name != "_self_"]:
        content["defaults"] = [name for name in named if not isinstance(name, str)]
    parts = [_composed(f"{path.rpartition('/')[0]}/{name}.yaml", read) for name in bases]
    return OmegaConf.merge(*parts, {"defaults": []} | content if isinstance(content, dict) else content or {})


def _says_only(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
