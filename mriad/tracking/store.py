"""Connects to an MLflow tracking store, whatever it is, so that jobs which start together do not race."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import requests
from filelock import FileLock

from mriad.errors import MriadError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"


def absolute(tracking_uri: str) -> str:
    """The same store, whatever the working directory."""
    return f"{_SQLITE}{_database(tracking_uri)}" if tracking_uri.startswith(_SQLITE) else tracking_uri


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the store, which is made or migrated first if it is a fresh database.

    Args:
        tracking_uri: 'sqlite:///path', another database URL, or 'http(s)://server'.

    Raises:
        MriadError: if a server does not answer or a store cannot be opened.
    """
    if urlparse(tracking_uri).scheme in ("http", "https"):
        _require_server(tracking_uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow  # heavy: seconds that a wrong option need not wait for

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(tracking_uri)
    try:
        if tracking_uri.startswith(_SQLITE):
            _database(tracking_uri).parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_file(tracking_uri)):  # two processes that migrate a fresh store at once break it
            client = mlflow.MlflowClient(tracking_uri)
            client.search_experiments(max_results=1)
    except Exception as error:
        raise MriadError(
            f"The MLflow store {tracking_uri} cannot be opened ({_first_line(error)}); "
            "set logger.tracking_uri to 'sqlite:///<file>.db', a database or a server."
        ) from error
    return client


def experiment_id(client: MlflowClient, name: str, tracking_uri: str) -> str:
    """Id of an experiment, made if it is not there; a local store keeps artifacts in ``mlartifacts`` beside it."""
    from mlflow.exceptions import MlflowException

    location = None
    if tracking_uri.startswith(_SQLITE):
        location = (_database(tracking_uri).parent / "mlartifacts").as_uri()
    with FileLock(lock_file(tracking_uri)):
        if (found := client.get_experiment_by_name(name)) is None:
            try:
                return client.create_experiment(name, artifact_location=location)
            except MlflowException:  # a job on another machine was faster
                found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise MriadError(
            f"The MLflow experiment '{name}' is deleted in {tracking_uri}; "
            "restore it, or choose another with logger.experiment."
        )
    return found.experiment_id


def _require_server(tracking_uri: str) -> None:
    try:
        requests.get(tracking_uri.rstrip("/") + "/health", timeout=10).raise_for_status()
    except requests.RequestException:
        raise MriadError(
            f"The MLflow server at {tracking_uri} does not answer; start it, or set logger.tracking_uri "
            "(or MLFLOW_TRACKING_URI) to a store that is there, such as 'sqlite:///mlflow.db'."
        ) from None


def _database(tracking_uri: str) -> Path:
    return Path(tracking_uri.removeprefix(_SQLITE)).absolute()


def lock_file(tracking_uri: str) -> str:
    """File that the processes of this machine lock while they make a database or what is shared in it."""
    if tracking_uri.startswith(_SQLITE):
        return f"{_database(tracking_uri)}.lock"
    name = hashlib.blake2b(tracking_uri.encode(), digest_size=8).hexdigest()
    return str(Path(tempfile.gettempdir()) / f"mriad-{os.getuid()}-{name}.lock")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
