"""The options in which methods differ, and the short names that tell methods apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# A choice of an option file, and the prefix of the options that come with it; the most special prefix first.
_CHOICES = {
    "split": "data.split",
    "augment": "data.augment",
    "anomalies": "data.anomalies",
    "data": "data",
    "score": "score",
    "threshold": "threshold",
    "model": "model",
}


def differing(methods: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the options in which methods differ, without those that follow from another choice.

    ``model.beta``, for one, only counts where two methods of the same ``model`` differ in it.
    """
    names = sorted({name for options in methods for name in options}, key=_rank)
    return [name for name in names if _differs(name, methods)]


def short_names(methods: Sequence[Mapping[str, str]]) -> list[str]:
    """A name for each method: its model, and the options in which methods of this model differ."""
    named = [[name for name in differing(_peers(options, methods)) if name in options] for options in methods]
    labels = _labels(name for names in named for name in names)
    return [
        " ".join([options.get("model", "unnamed"), *(f"{labels[name]}={options[name]}" for name in names)])
        for options, names in zip(methods, named, strict=True)
    ]


def not_in_names(methods: Sequence[Mapping[str, str]]) -> list[str]:
    """Options in which methods of different models differ although their short names do not say so."""
    named = {name for options in methods for name in differing(_peers(options, methods))}
    return [name for name in differing(methods) if name != "model" and name not in named]


def _peers(options: Mapping[str, str], methods: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return [other for other in methods if other.get("model") == options.get("model")]


def _differs(name: str, methods: Sequence[Mapping[str, str]]) -> bool:
    owner = _owner(name)
    values: dict[str | None, set[str | None]] = {}
    for options in methods:
        choice = options.get(owner) if owner not in (None, name) else None
        values.setdefault(choice, set()).add(options.get(name))
    return any(len(found) > 1 for found in values.values())


def _owner(name: str) -> str | None:
    """The choice that an option came with; the choice itself for a choice."""
    if name in _CHOICES:
        return name
    owners = (choice for choice, prefix in _CHOICES.items() if name == prefix or name.startswith(f"{prefix}."))
    return next(owners, None)


def _rank(name: str) -> tuple[bool, bool, str]:
    """Choices first, then what belongs to the model."""
    return name not in _CHOICES, _owner(name) != "model", name


def _labels(names: Iterable[str]) -> dict[str, str]:
    """The last part of each dotted name, or all of it where that would be ambiguous."""
    lasts = {name: name.rpartition(".")[2] for name in names}
    return {name: last if list(lasts.values()).count(last) == 1 else name for name, last in lasts.items()}
