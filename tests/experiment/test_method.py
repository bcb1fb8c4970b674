import json
from types import SimpleNamespace

from mriad.experiment.method import log_method


def logged(params, **threshold):
    texts = {}
    log_method(SimpleNamespace(log_text=lambda text, name: texts.update({name: text})), params, **threshold)
    return json.loads(texts["method.json"])


def ae(**options):
    return {"model": "ae", **{name.replace("__", "."): value for name, value in options.items()}}


def test_seed_and_place_of_a_run_are_no_part_of_its_method():
    method = {"model": "vae", "model.beta": "0.01", "trainer.max_epochs": "50", "trainer.precision": "32-true"}
    place = {"seed": 1, "data.root": "/x", "data.num_workers": 4, "compile": True}
    place |= {"trainer": "gpu", "trainer.accelerator": "gpu", "trainer.devices": 1, "experiment": "nickparvar_vae"}
    assert logged(method | place) == {"seed": 1, "options": method}


def test_an_evaluation_is_its_training_under_its_own_threshold():
    training = ae(data="br35h", threshold="quantile", threshold__q="0.95", score="blurred")
    other = logged(training, threshold={"threshold": "youden"})
    assert other["options"] == ae(data="br35h", threshold="youden", score="blurred")
    assert logged(training, threshold={"threshold": "quantile"})["options"] == training
    own = logged(training, threshold={"threshold": "quantile", "threshold.q": 0.5})
    assert own["options"] == training | {"threshold.q": "0.5"}


def test_ensembles_of_the_same_models_are_one_method_whatever_runs_they_are_made_of():
    first, second = (ae(members="ae + vae", model__runs=runs) for runs in ("[a, b]", "[c, d]"))
    assert logged(first) == logged(second)
