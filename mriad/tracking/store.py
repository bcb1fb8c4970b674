"""Connects to an MLflow tracking store, whatever it is, so that jobs which start together do not race."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import requests
from filelock import FileLock

from mriad.errors import MriadError, no_room
from mriad.guesses import nearest
from mriad.passwords import hide, is_ambiguous, shown, whole
from mriad.tracking.view import results

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
_HTTP = ("http", "https")
_SCHEMES = (*_HTTP, "sqlite", "postgresql", "mysql", "mssql")
# what a store that is away makes them say is said once, by the run
_LOGGERS = {
    "mlflow": logging.WARNING,
    "alembic": logging.WARNING,
    "mlflow.store.db.utils": logging.CRITICAL,
    "urllib3.connectionpool": logging.ERROR,
}
# MLflow asks a server that is away for minutes; a run has its spool
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
_REQUEUED = 600  # seconds that a job which a cluster has started again waits for its server


def database_file(tracking_uri: str) -> Path | None:
    """Absolute path of the file that a SQLite store is; None for any other store."""
    return Path(tracking_uri.removeprefix(SQLITE)).absolute() if tracking_uri.startswith(SQLITE) else None


def absolute(tracking_uri: str) -> str:
    """The same store, whatever the working directory."""
    return f"{SQLITE}{file}" if (file := database_file(tracking_uri)) else tracking_uri


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the store, which is made or migrated first if it is a fresh database.

    Args:
        tracking_uri: 'sqlite:///path', another database URL, or 'http(s)://server'; its password may be concealed.

    Raises:
        MriadError: if a server does not answer, a store cannot be opened, or its password is not known here.
    """
    _require_address(tracking_uri)
    address = with_password(tracking_uri)
    if urlparse(tracking_uri).scheme in _HTTP:
        _require_server(tracking_uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow  # heavy: seconds that a wrong option need not wait for

    for name, level in _LOGGERS.items():
        logging.getLogger(name).setLevel(level)
    mlflow.set_tracking_uri(address)
    try:
        if file := database_file(tracking_uri):
            file.parent.mkdir(parents=True, exist_ok=True)
        elif urlparse(tracking_uri).scheme not in _HTTP and not _is_requeued():
            _ask(address)
        with FileLock(lock_file(tracking_uri)):  # two processes that migrate a fresh store at once break it
            client = mlflow.MlflowClient(address)
            client.search_experiments(max_results=1)
    except Exception as error:
        raise MriadError(
            f"The MLflow store {shown(tracking_uri)} cannot be opened ({first_line(error)}); "
            f"{_remedy(tracking_uri, error)}."
        ) from error
    return client


def with_password(address: str, option: str = "logger.tracking_uri") -> str:
    """An address as a connection needs it.

    Raises:
        MriadError: if its password was left out where the address was written down, and nobody has given it here.
    """
    if (found := whole(address)) is None:
        raise MriadError(
            f"The password of {address} is not kept and not known here; give the whole address with {option}, "
            "or leave its password out and keep it in ~/.pgpass (database) or MLFLOW_TRACKING_PASSWORD (server)."
        )
    return found


def limit_waiting() -> None:
    """From here on, wait seconds and not minutes for a server that is away, unless the user has said how long."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)


def answers(tracking_uri: str) -> bool:
    """Whether it is worth while to write to a store that was away: a server must answer, a database may be tried."""
    if urlparse(tracking_uri).scheme not in _HTTP:
        return True
    try:
        return _health(tracking_uri).status_code in (200, 401, 403)
    except requests.RequestException:
        return False


def why_away(error: BaseException) -> str | None:
    """Why a store could not answer, in a few words; None if it has answered, and refused.

    Args:
        error: what a call of MLflow's client has raised.
    """
    from mlflow.exceptions import MlflowException, RestException

    if full := no_room(error):
        return full
    if isinstance(error, RestException):
        return first_line(error) if error.get_http_status_code() >= 500 else None
    if isinstance(error, MlflowException) and error.error_code == "TEMPORARILY_UNAVAILABLE":  # a database
        return first_line(error)
    for cause in (error, error.__cause__, error.__context__ if isinstance(error, MlflowException) else None):
        if isinstance(cause, requests.RequestException):
            if cause.response is not None and cause.response.status_code < 500:
                return None
            return type(cause).__name__
    return None


def gone(tracking_uri: str, why: str) -> MriadError:
    """The error of a store that has answered before, and is away now."""
    return MriadError(f"The MLflow store {shown(tracking_uri)} has gone away ({why}); start again when it is back.")


def first_line(error: BaseException) -> str:
    """What an exception says first, without passwords."""
    return hide(str(error)).strip().split("\n")[0][:200]


def experiment_id(client: MlflowClient, name: str, tracking_uri: str) -> str:
    """Id of an experiment, made if it is not there.

    A server knows where its artifacts go; a SQLite store keeps them in ``mlartifacts`` beside it, another database in
    ``mlartifacts`` in the working directory of the first who logs to the experiment.

    Raises:
        MriadError: if it is deleted, or belongs to a server while its database is spoken to directly.
    """
    from mlflow.exceptions import MlflowException

    location = None
    if urlparse(tracking_uri).scheme not in _HTTP:
        home = file.parent if (file := database_file(tracking_uri)) else Path.cwd()
        location = (home / "mlartifacts").as_uri()
    with FileLock(lock_file(tracking_uri)):
        if (found := client.get_experiment_by_name(name)) is None:
            try:
                return client.create_experiment(name, artifact_location=location, tags=results())
            except MlflowException:  # a job on another machine was faster
                found = client.get_experiment_by_name(name)
        elif found.lifecycle_stage == "active":
            for key in results().keys() - found.tags.keys():  # of an experiment that was made by hand
                client.set_experiment_tag(found.experiment_id, key, results()[key])
    if found is None or found.lifecycle_stage != "active":
        raise MriadError(
            f"The MLflow experiment '{name}' is deleted in {shown(tracking_uri)}; "
            "restore it, or choose another with logger.experiment."
        )
    if location is not None and urlparse(found.artifact_location).scheme == "mlflow-artifacts":
        raise MriadError(
            f"The artifacts of the MLflow experiment '{name}' in {shown(tracking_uri)} are kept by a server; set "
            "logger.tracking_uri to that server, or choose another experiment with logger.experiment."
        )
    return found.experiment_id


def _require_address(tracking_uri: str) -> None:
    scheme = urlparse(shown(tracking_uri)).scheme
    kind = scheme.partition("+")[0]
    if kind not in _SCHEMES:
        guess = nearest(kind, _SCHEMES) if kind else None
        meant = f", perhaps {guess}:// was meant" if guess else ""
        raise MriadError(
            f"The MLflow store {shown(tracking_uri)} cannot be opened, for that is no address of one{meant}; set "
            "logger.tracking_uri to 'sqlite:///<file>.db', a database (postgresql://user@host/name) or a server "
            "(http://host:5000)."
        )
    if (file := database_file(tracking_uri)) and file.is_dir():
        raise MriadError(
            f"{tracking_uri} is a folder and no database; set logger.tracking_uri to a file in it, as in "
            f"{tracking_uri.rstrip('/')}/mlflow.db."
        )


def _require_server(tracking_uri: str) -> None:
    until = time.monotonic() + (_REQUEUED if _is_requeued() else 0)
    while not answers(tracking_uri):
        if time.monotonic() < until:
            time.sleep(10)
            continue
        raise MriadError(
            f"The MLflow server at {shown(tracking_uri)} does not answer; start it, or set logger.tracking_uri "
            "(or MLFLOW_TRACKING_URI) to a store that is there, such as 'sqlite:///mlflow.db'."
        )


def _ask(address: str) -> None:
    """Connect to a database once: MLflow tries one that is away for 100 seconds, without a word."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    engine.connect().close()


def _is_requeued() -> bool:
    """Whether a cluster has started this job again, as it does after what took the store away, too."""
    return "SLURM_RESTART_COUNT" in os.environ


def _health(tracking_uri: str) -> requests.Response:
    """What a server says; it need not know who asks, for a refusal is an answer too."""
    trusted = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1")
    certificate = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    address = with_password(tracking_uri).rstrip("/")
    return requests.get(f"{address}/health", timeout=10, verify=certificate or trusted)


def _remedy(tracking_uri: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and tracking_uri.startswith("postgresql"):
        return "install its driver with: pip install 'mriad[server]'"
    if is_ambiguous(with_password(tracking_uri)):
        return "write @ as %40, / as %2F, : as %3A, ? as %3F and # as %23 in its password"
    if "error code 401" in str(error):
        return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or logger.tracking_uri to another store"
    return "set logger.tracking_uri to 'sqlite:///<file>.db', a database or a server"


def lock_file(tracking_uri: str) -> str:
    """File that the processes of this machine lock while they make a database or what is shared in it."""
    if file := database_file(tracking_uri):
        return f"{file}.lock"
    name = hashlib.blake2b(shown(tracking_uri).encode(), digest_size=8).hexdigest()
    return str(Path(tempfile.gettempdir()) / f"mriad-{os.getuid()}-{name}.lock")
