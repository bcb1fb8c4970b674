from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.strategies import Strategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mriad.callbacks import LastCheckpoint
from mriad.checkpoints.whole_files import WholeFiles
from mriad.errors import MriadError


class Line(LightningModule):
    def __init__(self, *, fails_in_epoch: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self._fails_in_epoch = fails_in_epoch

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.current_epoch == self._fails_in_epoch:
            raise RuntimeError("stopped")
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


def fit(module: Line, callback: LastCheckpoint, *, epochs: int, ckpt_path: Path | None = None) -> Trainer:
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.strategy.checkpoint_io = WholeFiles()
    trainer.fit(module, DataLoader(TensorDataset(torch.rand(4, 1)), batch_size=2), ckpt_path=ckpt_path)
    return trainer


def saved_epoch(folder: Path) -> int:
    return torch.load(folder / "last.ckpt", weights_only=True)["epoch"]


def test_the_end_of_a_training_is_saved_even_if_the_last_save_was_just_now(tmp_path):
    fit(Line(), LastCheckpoint(dirpath=tmp_path, every_seconds=1e9), epochs=3)
    assert saved_epoch(tmp_path) == 3


def test_a_training_that_is_stopped_saves_at_once(tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        fit(Line(fails_in_epoch=2), LastCheckpoint(dirpath=tmp_path, every_seconds=1e9), epochs=5)
    assert saved_epoch(tmp_path) == 2


def test_a_training_that_never_took_a_step_saves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        fit(Line(fails_in_epoch=0), LastCheckpoint(dirpath=tmp_path, every_seconds=1e9), epochs=5)
    assert not (tmp_path / "last.ckpt").exists()


def test_no_epoch_is_saved_before_its_time(tmp_path, monkeypatch):
    saves = []
    callback = LastCheckpoint(dirpath=tmp_path, every_seconds=1e9)
    monkeypatch.setattr(Strategy, "save_checkpoint", lambda self, checkpoint, path: saves.append(checkpoint["epoch"]))
    fit(Line(), callback, epochs=4)
    assert len(saves) == 1
    saves.clear()
    fit(Line(), LastCheckpoint(dirpath=tmp_path, every_seconds=0), epochs=4)
    assert saves == [1, 2, 3, 4]


def test_a_stopped_training_goes_on_to_its_end(tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        fit(Line(fails_in_epoch=1), LastCheckpoint(dirpath=tmp_path), epochs=3)
    trainer = fit(Line(), LastCheckpoint(dirpath=tmp_path), epochs=3, ckpt_path=tmp_path / "last.ckpt")
    assert trainer.current_epoch == 3
    assert trainer.global_step == 6


def test_a_full_disk_leaves_the_last_good_file_and_nothing_else(small_disk):
    class Big(Line):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ballast", torch.zeros(50_000))  # 200 kB: one fits beside what fills the disk, not two

    (small_disk / "filler").write_bytes(bytes(1_700_000))
    fit(Big(), LastCheckpoint(dirpath=small_disk), epochs=1)
    with pytest.raises(MriadError, match=r"last.ckpt cannot be written \(no space left on device") as error:
        fit(Big(), LastCheckpoint(dirpath=small_disk, every_seconds=0), epochs=3)
    assert str(error.value).endswith("what it held before is untouched.")
    assert saved_epoch(small_disk) == 1
    assert sorted(file.name for file in small_disk.iterdir()) == ["filler", "last.ckpt"]
