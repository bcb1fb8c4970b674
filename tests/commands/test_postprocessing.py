import pytest
import torch

from benchmarks.postprocessing import STEPS, main
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.experiment.data import load_data
from mriad.metrics.pixel import pixel_metrics

from .command_line import TrainedRun


def test_the_table_of_steps_has_the_val_metrics_of_each(ae: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(ae.checkpoint), "data.batch_size=4"])
    _, _, *lines = capsys.readouterr().out.splitlines()
    rows = {name: cells for name, *cells in (line.strip("| ").split(" | ") for line in lines)}
    assert list(rows) == list(STEPS)
    checkpoint = Checkpoint.load(ae.checkpoint)
    data = load_data(checkpoint.config.data, roles=("val",), split=checkpoint.roles())
    val = data.rows("val", 1)
    with torch.inference_mode():
        maps = checkpoint.detector().scan(data.slices(val))[0].squeeze(1).numpy()
    found = pixel_metrics(maps, data.cache.masks_of(val), threshold=0.5)
    assert rows["none"] == [f"{found[name]:.3f}" for name in ("pixel_ap", "dice_oracle", "pointing")]
    assert rows["`Gaussian` of 2 pixels"] != rows["none"]
