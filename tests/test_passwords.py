import logging
import os
import sys

import pytest
from omegaconf import OmegaConf

from mriad import passwords
from mriad.passwords import (
    conceal,
    conceal_command,
    conceal_config,
    conceal_environment,
    conceal_files,
    hide,
    is_ambiguous,
    shown,
    whole,
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing is known from before, and nothing stays."""
    monkeypatch.setenv(passwords.VARIABLE, "")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


ADDRESSES = {
    "postgresql://me:secret@host/db": "postgresql://me:***@host/db",
    "postgresql+psycopg://me:secret@host:5432/db": "postgresql+psycopg://me:***@host:5432/db",
    "postgresql://me:p%40ss%2Fw@host/db": "postgresql://me:***@host/db",
    "postgresql://me:p@ss/w:rd@host/db": "postgresql://me:***@host/db",
    "postgresql://me:a b'c@host/db": None,
    "http://me:secret@host:5000": "http://me:***@host:5000",
    "http://:secret@host": "http://:***@host",
    "postgresql://host/db?user=me&password=secret": "postgresql://host/db?user=me&password=***",
    "postgresql://me@host/db?sslmode=verify-full&sslpassword=a%20b&x=1": (
        "postgresql://me@host/db?sslmode=verify-full&sslpassword=***&x=1"
    ),
    "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dsecret": "mssql+pyodbc:///?odbc_connect=***",
    "https://host/?access_token=secret": "https://host/?access_token=***",
}
BARE = ["sqlite:///mlflow.db", "sqlite:////a/b:c@d.db", "postgresql://me@host:5432/db", "http://host:5000/#/runs"]


@pytest.mark.parametrize(("address", "as_shown"), [pair for pair in ADDRESSES.items() if pair[1]])
def test_an_address_is_shown_without_its_password_and_found_again(address, as_shown):
    assert shown(address) == shown(as_shown) == as_shown
    assert conceal(address) == as_shown
    assert whole(as_shown) == whole(address) == address
    assert conceal(as_shown) == as_shown and whole(as_shown) == address


@pytest.mark.parametrize("address", BARE)
def test_an_address_without_a_password_stays_as_it_is(address):
    assert conceal(address) == address == whole(address)


def test_a_password_that_nobody_has_given_here_is_not_found():
    assert whole("postgresql://me:***@host/db") is None


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("mark", ["", "'", '"'])
def test_a_command_holds_no_password(address, mark):
    if not mark and any(letter in address for letter in " '"):
        pytest.skip("a shell would divide it")
    typed = address.replace(mark, f"\\{mark}") if mark else address
    name, _, value = conceal_command([f"logger.tracking_uri={mark}{typed}{mark}"])[0].partition("=")
    assert name == "logger.tracking_uri" and "***" in value
    assert whole(value.strip(mark) if mark else value) == address


def test_a_command_is_else_left_alone():
    options = ["model=ae", "data.root=/a:b@c", "score.x='a=b'", "-m", "model.beta=interval(0.1,1)", *BARE]
    assert conceal_command(options) == options


def test_addresses_in_lists_lose_their_passwords_one_by_one():
    (option,) = conceal_command(["x=[http://me:one@host:1,http://you:two@host:2]"])
    assert option == "x=[http://me:***@host:1,http://you:***@host:2]"
    assert whole("http://you:***@host:2") == "http://you:two@host:2"
    assert conceal_command(["x=http://me:one@a,http://you:two@b"]) == ["x=http://me:***@a,http://you:***@b"]


def test_an_interpolation_is_no_password_until_it_has_a_value(monkeypatch):
    option = "logger.tracking_uri=postgresql://me:${oc.env:WORD}@host/db"
    assert conceal_command([option]) == [option]
    monkeypatch.setenv("WORD", "secret")
    config = OmegaConf.create({"logger": {"tracking_uri": option.partition("=")[2], "more": ["${oc.env:GONE}", "???"]}})
    OmegaConf.set_struct(config, True)
    conceal_config(config)
    assert config.logger.tracking_uri == "postgresql://me:***@host/db"
    assert whole(config.logger.tracking_uri) == "postgresql://me:secret@host/db"


def test_the_environment_holds_it_for_the_processes_that_are_started(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host")
    conceal_environment()
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://me:***@host"
    assert whole("http://me:***@host") == "http://me:secret@host"


def test_what_hydra_has_written_is_written_again(tmp_path):
    (tmp_path / "config.yaml").write_text("uri: postgresql://me:secret@host/db\nmodel: secret\n")
    conceal_files(tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "uri: postgresql://me:***@host/db\nmodel: secret\n"


@pytest.mark.parametrize(
    "text",
    [
        "could not connect to postgresql://me:pa%2Fss%40word@host/db",
        "FATAL: no such password: pa/ss@word",
        "missing '=' after 'pa/ss@word' in connection info",
        "url: /health?x=pa%2Fss%40word",
        "connection info: user=me password=pa/ss@word host=h",
        "password='pa/ss@word'",
    ],
)
def test_what_a_library_says_holds_it_in_no_form(text):
    conceal("postgresql://me:pa%2Fss%40word@host/db")
    told = hide(text)
    assert "***" in told and "ss" not in told.replace("missing", "").replace("password", "")


def test_a_part_that_a_driver_takes_for_the_host_is_hidden():
    conceal("postgresql://me:Ge/heim@wort@host/db")
    assert hide("failed to resolve host 'wort@host', not heim, of Gerd") == (
        "failed to resolve host '***@host', not ***, of Gerd"
    )
    assert is_ambiguous("postgresql://me:a@b@host/db") and not is_ambiguous("postgresql://me:a%40b@host/db")
    assert not is_ambiguous("sqlite:////a:b/c@d.db") and not is_ambiguous("http://host:5000/a@b")


def test_a_short_password_is_hidden_as_a_word_and_leaves_words_alone():
    conceal("http://me:log@host")
    assert hide("mlflow logs to catalog; wrong log: 'log'") == "mlflow logs to catalog; wrong ***: '***'"


def test_no_log_holds_it(caplog):
    conceal("http://me:geheimnis@host")
    logger = logging.getLogger("some.library")
    try:
        raise ValueError("http://me:geheimnis@host is away")
    except ValueError:
        logger.exception("Retrying %s, %s", "http://me:geheimnis@host", 3)
    logger.warning("it was geheimnis")
    assert "Retrying http://me:***@host, 3" in caplog.text and "ValueError: http://me:***@host" in caplog.text
    assert "geheimnis" not in caplog.text


def test_no_stack_trace_holds_it(capsys):
    conceal("http://me:geheimnis@host")
    sys.excepthook(ValueError, ValueError("at http://me:geheimnis@host"), None)
    assert capsys.readouterr().err == "ValueError: at http://me:***@host\n"
