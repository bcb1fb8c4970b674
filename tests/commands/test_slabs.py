"""Slices of volumes that are seen between their neighbours: trained, tested again, predicted, and in an ensemble."""

from pathlib import Path

import pandas as pd
import pytest
from heads import write_volumes

from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow

TINY = ("data.epoch_scans=null", "model.network.widths=[8,16]")
MODELS = {"ae": (), "vae": (), "dae": TINY, "synthetic_anomaly": TINY}


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options that make a quick training on volumes."""
    root = tmp_path_factory.mktemp("heads")
    write_volumes(root, healthy=10, anomalous=6)
    grid = ("data.image_size=32", "data.preprocess.depth=32", "data.spacing=8")
    return ("data=volumes", f"data.root={root}", *grid, "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("slabs"), store=migrated_store)


@pytest.fixture(scope="module", params=list(MODELS))
def run(request: pytest.FixtureRequest, store: Terminal, heads: tuple[str, ...]) -> TrainedRun:
    store.train(*heads, f"model={request.param}", "data.slices.neighbours=1", *MODELS[request.param]).ok()
    return store.newest("training")


def test_a_detector_of_slabs_is_trained_and_tested_again(store: Terminal, run: TrainedRun) -> None:
    assert run.status == "FINISHED"
    assert run.params["data.slices.neighbours"] == "1" and "model.network.neighbours" not in run.params
    assert ("plots/anomalies.png" in run.files()) == (run.params["model"] == "synthetic_anomaly")
    store.evaluate(f"run={run.id}").ok()
    again = store.newest("evaluation")
    assert again.test_metrics == run.test_metrics
    pd.testing.assert_frame_equal(again.scores, run.scores, check_exact=True)


@pytest.mark.parametrize("run", ["ae"], indirect=True)
def test_it_predicts_and_joins_an_ensemble(
    store: Terminal, run: TrainedRun, heads: tuple[str, ...], tmp_path: Path
) -> None:
    root = next(option for option in heads if option.startswith("data.root=")).partition("=")[2]
    folder = next(place for place in sorted(Path(root).iterdir()) if place.is_dir() and place.name != "masks")
    store.predict(f"run={run.id}", f"input={folder}", f"output={tmp_path}").ok()
    predicted = pd.read_csv(tmp_path / "predictions.csv").set_index("path")["score"]
    tested = run.scores.set_index("path")["score"]
    both = {path: name for path in predicted.index for name in tested.index if path.endswith(name)}
    assert both
    for path, name in both.items():
        assert predicted[path] == pytest.approx(tested[name], abs=1e-5)
    store.train(*heads, "model=intensity").ok()
    members = f"model.runs=[{run.id},{store.newest('training').id}]"
    made = tuple(option for option in heads if not option.startswith("trainer"))
    store.train(*made, "model=ensemble", members, "data.slices.neighbours=1").sentence("cannot be set here", "drop it")
    store.train(*made, "model=ensemble", members).ok()
    assert store.newest("training").params["members"] == "ae + intensity"


def test_what_has_or_sees_no_neighbours_refuses_them(store: Terminal, heads: tuple[str, ...]) -> None:
    asked = "data.slices.neighbours=1"
    store.train(*heads, "model=pca", asked).sentence("model=pca cannot see the neighbours", asked, "set that to 0")
    store.train(f"+{asked}", "model=ae").sentence(asked, "are pictures", "drop it")
    store.train(*heads, "model=ae", "data.slices.neighbours=-1").sentence("no whole number from 0 up")
