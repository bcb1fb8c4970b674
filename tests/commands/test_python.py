"""What a program gets is what the command writes: ``mriad.load`` of runs, registered detectors and checkpoints."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import mriad

from .command_line import Terminal, TrainedRun


def test_a_run_loaded_in_python_gives_what_predict_writes(
    bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    bench.predict(f"run={ae.id}", f"input={scans}/tumour", f"output={output}", "batch_size=1", "maps=true").ok()
    table = pd.read_csv(output / "predictions.csv")
    uri = f"sqlite:///{bench.folder}/mlflow.db"
    mlflow.set_tracking_uri("sqlite:///my_own.db")
    results = mriad.load(ae.id, device="cpu", tracking_uri=uri)([Path(path) for path in table["path"]])
    assert [result.score for result in results] == list(table["score"])
    assert [result.decision for result in results] == list(table["decision"])
    for path, result in zip(table["path"], results, strict=True):
        written = np.asarray(Image.open(output / "maps" / f"{Path(path).name}.map.tiff"))
        assert np.array_equal(result.map, written)
    of_file = mriad.load(ae.checkpoint, device="cpu")(table["path"][0])
    assert of_file.score == results[0].score
    assert mlflow.get_tracking_uri() == "sqlite:///my_own.db"


def test_a_registered_detector_is_loaded_by_its_name(bench: Terminal, vae: TrainedRun) -> None:
    bench.run("mriad/__main__.py", "register", f"run={vae.id}", "name=shared", "alias=champion").ok()
    uri = f"sqlite:///{bench.folder}/mlflow.db"
    assert mriad.load("models:/shared@champion", tracking_uri=uri).run_id == vae.id
    with pytest.raises(mriad.MriadError, match="There is no run 'nobody'"):
        mriad.load("nobody", tracking_uri=uri)


def test_a_prediction_without_a_detector_takes_the_one_in_the_box(bare: Terminal, scans: Path) -> None:
    done = bare.predict(f"input={scans}", "output=predictions").ok()
    assert "is no medical device" in done.out + done.err
    assert pd.read_csv(bare.folder / "predictions" / "predictions.csv")["score"].notna().all()
