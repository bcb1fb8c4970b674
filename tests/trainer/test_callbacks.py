import sys

import pytest
from lightning.pytorch.callbacks import RichProgressBar
from omegaconf import OmegaConf

from mriad.callbacks import EpochLines, RandomStreams
from mriad.trainer.fit import callbacks

BAR = {"_target_": "lightning.pytorch.callbacks.RichProgressBar"}


@pytest.mark.parametrize(
    ("terminal", "wanted", "kinds"),
    [
        (True, True, [RandomStreams, RichProgressBar]),
        (False, True, [RandomStreams, EpochLines]),
        (True, False, [RandomStreams]),
        (False, False, [RandomStreams]),
    ],
)
def test_a_bar_is_for_a_terminal_and_lines_are_for_anything_else(monkeypatch, terminal, wanted, kinds):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    cfg = OmegaConf.create({"seed": 0, "callbacks": {"progress": BAR}, "trainer": {"enable_progress_bar": wanted}})
    assert [type(callback) for callback in callbacks(cfg)] == kinds
