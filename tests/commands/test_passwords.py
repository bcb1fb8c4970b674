"""A password in the address of a store or a study stands in nothing that a command writes or prints."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from servers import Postgres, new_postgres

from .command_line import Outcome, Terminal

pytestmark = pytest.mark.slow
FORMS = (b"Ge%2Fheim%40wort", b"Ge%2fheim%40wort", b"Ge/heim@wort", b"Ge/heim%40wort", b"wort@")
MODEL = ("model=pca", "model.n_components=4", "data=folder", "data.image_size=32")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with new_postgres() as postgres:
        yield postgres


def with_password(uri: str) -> str:
    return uri.replace("mriad@", "mriad:Ge%2Fheim%40wort@")


def found_in(content: bytes) -> bool:
    return any(form in content for form in FORMS)


def leaks(outcome: Outcome, *folders: Path) -> list[str]:
    """What holds the password: output, files, members of archives."""
    found = [name for name in ("out", "err") if found_in(getattr(outcome, name).encode())]
    for file in [file for folder in folders for file in folder.rglob("*") if file.is_file()]:
        if ".terminal" in file.parts:
            continue
        if found_in(file.read_bytes()) or found_in(str(file).encode()):
            found.append(str(file))
        elif zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                found += [f"{file}:{name}" for name in archive.namelist() if found_in(archive.read(name))]
    return found


def leaks_in(uri: str) -> list[str]:
    """Columns of a database that hold it."""
    with psycopg.connect(uri) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
        wanted = [form.decode() for form in FORMS]
        return [
            f"{table}.{column}"
            for table, column in columns
            for word in wanted
            if connection.execute(
                f'SELECT 1 FROM "{table}" WHERE position(%s in "{column}"::text) > 0 LIMIT 1', [word]
            ).fetchone()
        ]


def test_a_run_and_a_search_on_a_database(terminal: Terminal, scans: Path, postgres: Postgres) -> None:
    options = (*MODEL, f"data.root={scans}")
    store, studies = postgres.uri("secret_store"), postgres.uri("secret_studies")
    uri = f"logger.tracking_uri={with_password(store)}"
    one = terminal.train(*options, uri, "hydra.run.dir=one").ok()
    assert leaks(one, terminal.folder) == []
    search = terminal.train(
        *(*options, uri, f"sweep.storage='{with_password(studies)}?application_name=mriad'"),
        *("sweep=search", "sweep.trials=2", "sweep.workers=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        *("model.n_components=range(2,9)", "hydra.sweep.dir=many"),
    ).ok()
    assert "***" in (terminal.folder / "many" / "multirun.yaml").read_text()
    assert leaks(search, terminal.folder) == []
    assert leaks_in(store) == leaks_in(studies) == []


def test_a_wrong_address(terminal: Terminal, scans: Path) -> None:
    options = (*MODEL, f"data.root={scans}")
    database = "postgresql://mriad:Ge/heim@wort@127.0.0.1:1/gone"
    query = "postgresql://127.0.0.1:1/gone?user=mriad&password=Ge%2Fheim%40wort"
    for outcome in (
        terminal.train(*options, f'logger.tracking_uri="{database}"'),
        terminal.train(*options, f'logger.tracking_uri="{query}"'),
        terminal.train(*options, MLFLOW_TRACKING_URI="http://mriad:Ge%2Fheim%40wort@127.0.0.1:1"),
    ):
        outcome.sentence("***")
        assert leaks(outcome, terminal.folder) == []
    full = terminal.train(*options, f'logger.tracking_uri="{database}"', HYDRA_FULL_ERROR="1")
    assert full.code == 1 and "Traceback" in full.err
    assert leaks(full, terminal.folder) == []
