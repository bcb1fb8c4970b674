import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
from numpy.typing import NDArray
from PIL import Image

from .brains import brain, lesion, save
from .command_line import Terminal, TrainedRun


@pytest.fixture(scope="module")
def stack() -> NDArray[np.uint8]:
    """(40, 64, 64) uint8: more than one batch."""
    return np.stack([brain(500 + number) if number % 2 else lesion(500 + number)[0] for number in range(40)])


def load(run: TrainedRun) -> mlflow.pyfunc.PyFuncModel:
    mlflow.set_tracking_uri(f"sqlite:///{run.terminal.folder / 'mlflow.db'}")
    found = run.terminal.store.search_logged_models([run.stored.info.experiment_id])
    (model,) = (model for model in found if model.source_run_id == run.id)
    return mlflow.pyfunc.load_model(model.model_uri)


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_the_model_says_what_predict_says(
    request: pytest.FixtureRequest, bench: Terminal, stack: NDArray[np.uint8], tmp_path: Path, name: str
) -> None:
    run: TrainedRun = request.getfixturevalue(name)
    for number, scan in enumerate(stack):
        save(tmp_path / "scans" / f"{number:02}.png", scan)
    bench.predict(f"run={run.id}", f"input={tmp_path}/scans", f"output={tmp_path}/out", "maps=true").ok()
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    maps = [np.asarray(Image.open(tmp_path / "out" / "maps" / f"{number:02}.png.map.tiff")) for number in range(40)]

    answer = load(run).predict(stack)

    assert answer["score"].shape == answer["decision"].shape == (40,)
    assert answer["map"].shape == stack.shape and answer["map"].dtype == np.float32
    assert np.allclose(answer["score"], table["score"], atol=1e-6, rtol=0)
    assert list(answer["decision"]) == list(table["decision"])
    assert np.allclose(answer["map"], np.stack(maps), atol=1e-6, rtol=0)


def test_the_model_decides_by_the_threshold_of_its_run(ae: TrainedRun, stack: NDArray[np.uint8]) -> None:
    answer = load(ae).predict(stack)
    assert set(answer["decision"]) == {0, 1}
    assert list(answer["decision"]) == list((answer["score"] > ae.metrics["threshold"]).astype(int))


def test_a_copy_outlives_its_run_and_no_copy_saves_space(ae: TrainedRun, vae: TrainedRun) -> None:
    def checkpoints(run: TrainedRun) -> int:
        found = run.terminal.store.search_logged_models([run.stored.info.experiment_id])
        (model,) = (model for model in found if model.source_run_id == run.id)
        return len(list(Path(model.artifact_location.removeprefix("file://")).rglob("*.ckpt")))

    assert checkpoints(ae) == 1
    assert checkpoints(vae) == 0


def test_images_of_another_size_and_shape_are_taken(ae: TrainedRun) -> None:
    wide = np.stack([np.pad(brain(number), ((3, 4), (20, 9))) for number in range(3)])
    answer = load(ae).predict(wide)
    assert answer["map"].shape == (3, 71, 93)
    assert np.isfinite(answer["score"]).all()


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_other_types_are_scored_as_files_of_their_kind(
    bench: Terminal, ae: TrainedRun, stack: NDArray[np.uint8], tmp_path: Path, kind: type[np.number]
) -> None:
    scan = (stack[0] / 300).astype(kind) if kind == np.float32 else stack[0].astype(kind) * 16
    (tmp_path / "scans").mkdir()
    Image.fromarray(scan).save(tmp_path / "scans" / "a.tiff")
    bench.predict(f"run={ae.id}", f"input={tmp_path}/scans", f"output={tmp_path}/out").ok()
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    answer = load(ae).predict(scan, params={"spacing": ["0.5"]})
    assert np.allclose(answer["score"], table["score"], atol=1e-6, rtol=0)


def test_whatever_is_no_image_is_refused_in_one_sentence(ae: TrainedRun, stack: NDArray[np.uint8]) -> None:
    model = load(ae)
    for values, params, told in (
        (stack.astype(complex), {}, "is of type complex128"),
        (stack.astype(int) * 16, {}, "name the type of the pixels"),
        (stack, {"dtype": "uint9"}, "dtype=uint9 is unknown"),
        (stack, {"spacing": ["0.5", "0.6"]}, "40 images but 2 spacings"),
        (stack, {"spacing": ["wide"]}, "The spacing 'wide' is none"),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException, match=told) as refused:
            model.predict(values, params=params)
        assert len(str(refused.value).splitlines()) == 1


def test_the_server_takes_json_and_says_what_it_does_not_take(ae: TrainedRun, stack: NDArray[np.uint8]) -> None:
    model = load(ae)

    def post(body: dict[str, object]) -> scoring_server.InvocationsResponse:
        return scoring_server.invocations(
            json.dumps(body), "application/json", model, model.metadata.get_input_schema()
        )

    expected = model.predict(stack[:2])
    sent = {"inputs": (stack[:2].astype(int) * 16).tolist(), "params": {"dtype": "uint16", "spacing": ["0.5", ""]}}
    for body in ({"inputs": stack[:2].tolist()}, sent):
        answer = post(body)
        assert answer.status == 200
        assert np.allclose(json.loads(answer.response)["predictions"]["score"], expected["score"], atol=1e-3)
    with pytest.raises(mlflow.exceptions.MlflowException, match="name the type of the pixels") as refused:
        post({"inputs": sent["inputs"]})
    assert refused.value.get_http_status_code() == 400
