"""Which options make a method, and the short names that tell methods apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# Where and how a run was computed, or said by another option.
_NOT_THE_METHOD = {
    "callbacks",
    "compile",
    "data.cache_dir",
    "data.download",
    "data.layout.manifest",
    "data.max_broken",
    "data.num_workers",
    "data.on_device",
    "data.preprocess.image_size",
    "data.root",
    "data.split.file",
    "experiment",
    "logger",
    "model.members",
    "model.network.image_size",
    "model.optimizer.fused",
    "model.runs",
    "objective",
    "resume",
    "seed",
    "threads",
    "trainer",
    "trainer.accelerator",
    "trainer.deterministic",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
}
_RESUMED = "resumed."
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


def of_training(params: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """Options of a training's method: all parameters but the seed, and but those that say where it was computed.

    Args:
        params: logged parameters.
        tags: tags of the run; what changed when it was resumed is what it ended with.
    """
    resumed = {name.removeprefix(_RESUMED): value for name, value in tags.items() if name.startswith(_RESUMED)}
    return {name: value for name, value in {**params, **resumed}.items() if name not in _NOT_THE_METHOD}


def of_evaluation(training: Mapping[str, str], params: Mapping[str, str]) -> dict[str, str]:
    """Options of an evaluation's method: what was trained, decided by the evaluation's threshold.

    The data it was tested on are no part of it: a comparison has one test set.

    Args:
        training: options of the training.
        params: parameters that the evaluation logged.
    """
    own = {name: value for name, value in params.items() if _owner(name) == "threshold"}
    if own.get("threshold") in (None, training.get("threshold")):
        return {**training, **own}
    return {**{name: value for name, value in training.items() if _owner(name) != "threshold"}, **own}


def differing(methods: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the options in which methods differ, without those that follow from another choice.

    ``model.beta``, for one, only counts where two methods of the same ``model`` differ in it.
    """
    names = sorted({name for options in methods for name in options}, key=_rank)
    return [name for name in names if _differs(name, methods)]


def short_names(methods: Sequence[Mapping[str, str]]) -> list[str]:
    """A name for each method: its model, and the options in which methods of this model differ."""
    told = [[name for name in differing(_peers(options, methods)) if name in options] for options in methods]
    labels = _labels(name for names in told for name in names)
    return [
        " ".join([options.get("model", "unnamed"), *(f"{labels[name]}={options[name]}" for name in names)])
        for options, names in zip(methods, told, strict=True)
    ]


def untold(methods: Sequence[Mapping[str, str]]) -> list[str]:
    """Options in which methods of different models differ although their short names do not say so."""
    told = {name for options in methods for name in differing(_peers(options, methods))}
    return [name for name in differing(methods) if name != "model" and name not in told]


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
