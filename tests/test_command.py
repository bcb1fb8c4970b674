import signal
import sys
from collections.abc import Iterator

import pytest

from mriad.command import run


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """A command listens to them until its process ends."""
    before = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("words", [[], ["seed=1"]])
def test_a_command_runs_with_and_without_options(words, monkeypatch, tmp_path):
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    run(lambda: lambda cfg: seen.append(cfg.seed), config="train")
    assert seen == [1 if words else 0]


def test_a_word_with_dashes_is_no_option(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs", "3"])
    with pytest.raises(SystemExit):
        run(lambda: pytest.fail, config="train")
    assert "without dashes, as in trainer.max_epochs=3" in capsys.readouterr().err
