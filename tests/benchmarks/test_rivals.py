import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.rivals import BareLoop, NotebookLoop


def to_tensor(image):
    return torch.tensor(np.asarray(image), dtype=torch.float32).unsqueeze(0) / 255


def bare(few, model):
    return BareLoop(model=model)


def notebook(few, model):
    return NotebookLoop(model=model, image_size=few.cfg.data.image_size, root=str(few.root))


@pytest.mark.parametrize("rival", [bare, notebook])
def test_a_rival_learns_to_reconstruct_the_train_scans(few, rival):
    model = few.model()
    x = few.datamodule.images(few.datamodule.rows("train"))
    if rival is notebook:
        side = few.cfg.data.image_size
        files = [few.root / path for path in few.datamodule.scans("train")["path"]]
        x = torch.stack([to_tensor(Image.open(file).resize((side, side))) for file in files])
    before = model.losses(x)["loss"].item()
    other = rival(few, model)
    other.prepare(few.datamodule)
    for _ in range(10):
        other.epoch()
    assert model.losses(x)["loss"].item() < 0.9 * before


@pytest.mark.parametrize("rival", [bare, notebook])
def test_an_epoch_shows_each_train_scan_once_and_then_the_val_scans(few, rival):
    model, seen = few.model(), {True: 0, False: 0}

    def count(network, x, y):
        seen[network.training] += len(y)

    model.network.register_forward_hook(count)
    other = rival(few, model)
    other.prepare(few.datamodule)
    other.epoch()
    assert seen[True] == len(few.datamodule.rows("train"))
    assert seen[False] >= len(few.datamodule.rows("val"))


def test_a_step_of_the_bare_loop_is_one_of_lightning(few, monkeypatch):
    bare, framework = few.model(), few.model()
    train = few.datamodule.images(few.datamodule.rows("train"))
    monkeypatch.setattr(few.datamodule, "batch_size", len(train))  # one step, in whatever order
    loop = BareLoop(model=bare)
    loop.prepare(few.datamodule)
    loop.epoch()
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(framework, DataLoader([{"image": train}], batch_size=None))
    for mine, theirs in zip(bare.parameters(), framework.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
