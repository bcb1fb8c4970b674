import sys

import pytest

from mriad import invocation
from mriad.invocation import option_files, typed


@pytest.mark.parametrize(
    ("command", "in_a_clone"),
    [
        ("train", "python train.py"),
        ("audit", "python -m mriad.audit"),
        ("resend", "python -m mriad.tracking resend"),
        ("ui", "make ui"),
        ("register", "mriad register"),  # came with the command mriad
    ],
)
def test_a_command_is_told_the_way_it_was_typed(command, in_a_clone, monkeypatch):
    monkeypatch.delenv(invocation.VARIABLE, raising=False)
    assert typed(command) == in_a_clone
    monkeypatch.setenv(invocation.VARIABLE, "1")
    assert typed(command) == f"mriad {command}"


@pytest.mark.parametrize("spelling", [["--config-dir", "mine"], ["--config-dir=mine"], ["-cd", "mine"]])
def test_the_users_own_option_files_come_before_those_of_mriad(spelling, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "model=a", *spelling, "-m"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert option_files() == tmp_path / "mine"
    first, option, shipped, last = sys.argv[1:]
    assert (first, option, last) == ("model=a", "--config-dir", "-m")
    assert shipped.endswith("/mriad/conf")


def test_without_a_folder_of_ones_own_nothing_changes(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "model=a"])
    assert (option_files() / "train.yaml").is_file()
    assert sys.argv == ["train.py", "model=a"]


@pytest.mark.parametrize("words", [["--config-dir", "nowhere"], ["--config-dir"], ["--config-dir="]])
def test_a_folder_that_is_not_there_is_told(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    with pytest.raises(SystemExit):
        option_files()
    assert "--config-dir names no folder" in capsys.readouterr().err


def test_the_option_files_of_the_package_are_those_of_the_clone():
    clone = invocation.CONF.parents[1] / "conf"
    assert invocation.in_a_clone()
    assert invocation.CONF.resolve() == clone.resolve()
