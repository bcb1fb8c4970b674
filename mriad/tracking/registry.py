"""Detectors by name: the registry of MLflow, where a name has versions and an alias points at one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mriad.errors import MriadError
from mriad.invocation import typed
from mriad.passwords import shown
from mriad.tracking.store import first_line, gone, why_away

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from mriad.tracking.run import Run

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")
_LATEST = "latest"
SCHEME = "models:/"


def run_id_of(client: MlflowClient, detector: str, uri: str) -> str:
    """The run that has trained a detector.

    Args:
        client: client of the store.
        detector: id of a run, which is returned as it is, or ``models:/<name>@<alias>``, ``models:/<name>/<version>``
            or ``models:/<name>/latest``.
        uri: tracking URI of the store, for messages.

    Raises:
        MriadError: if the registry has no such detector, does not know which run it comes from, or is away.
    """
    if not detector.startswith(SCHEME):
        return detector
    if (named := _REGISTERED.fullmatch(detector)) is None:
        raise MriadError(
            f"'{detector}' names no detector of a registry; write models:/<name>@<alias> or models:/<name>/<version>."
        )
    name, alias, version = named["name"], named["alias"], named["version"]
    unknown = (
        f"The registry of {shown(uri)} has no {detector}; look at the registered models in the MLflow UI, or register "
        f"one with: {typed('register')} run=<id> alias={alias or '<alias>'} name={name}"
    )
    found: ModelVersion | None
    with _refusals(uri, lambda _: unknown):
        if alias is not None:
            found = client.get_model_version_by_alias(name, alias)
        elif version == _LATEST:
            found = max(_versions(client, name), key=lambda one: int(one.version), default=None)
        else:
            found = client.get_model_version(name, version)
    if found is None:
        raise MriadError(unknown)
    if not found.run_id:
        raise MriadError(
            f"{detector} was registered without the run that it comes from, so mriad cannot read it; register that "
            f"run with: {typed('register')} run=<id>"
        )
    return str(found.run_id)


def register(client: MlflowClient, run: Run, *, name: str, alias: str | None) -> int:
    """Give the model of a run a name, unless it has that name already, and let an alias point at it.

    Args:
        client: client of the store.
        run: a training with its model.
        name: name in the registry; made if it is not there.
        alias: taken from whichever version has it; None for none.

    Returns:
        Number of the version.

    Raises:
        MriadError: if the run has no model, the registry does not take the name or the alias, or it is away.
    """

    def refused(why: str) -> str:
        return f"Run '{run.run_id}' cannot be registered ({why}); choose another name or alias."

    with _refusals(run.uri, refused):
        model = _model_of(client, run)
        mine = [int(found.version) for found in _versions(client, name) if found.run_id == run.run_id]
        version = max(mine, default=0) or _new_version(client, run, name, model)
        if alias is not None:
            client.set_registered_model_alias(name, alias, str(version))
    return version


def _new_version(client: MlflowClient, run: Run, name: str, model: str) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:  # it is there, made perhaps this moment by somebody else
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name, source=f"{SCHEME}{model}", run_id=run.run_id, model_id=model, description=run.name
    )
    return int(made.version)


def _model_of(client: MlflowClient, run: Run) -> str:
    """Id of the model that a run has logged last."""
    outputs = client.get_run(run.run_id).outputs
    if outputs is None or not outputs.model_outputs:
        raise MriadError(
            f"Run '{run.run_id}' has no model to register: it has not finished its training, or was trained with "
            "logger.log_model=false."
        )
    return str(outputs.model_outputs[-1].model_id)


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    return list(client.search_model_versions(f"name='{name}'"))


@contextmanager
def _refusals(uri: str, sentence: Callable[[str], str]) -> Iterator[None]:
    """Tell in a sentence what the registry refuses, and why; or that it is away."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if (why := why_away(error)) is not None:
            raise gone(uri, why) from error
        raise MriadError(sentence(first_line(error).rstrip("."))) from error
