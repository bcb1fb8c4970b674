"""The command that compares runs: on runs logged by hand, which is quick, and on trained ones."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mriad.experiment.method import log_method
from mriad.tracking.tracker import Tracker

from .command_line import Outcome, Terminal, TrainedRun

SCANS = 60


def log(tracker: Tracker, *, model: str, seed: int = 0, shift: float = 1.0, scans: int = SCANS, **params: str) -> str:
    """Log a tested run; the larger the shift, the better its scores."""
    label = np.arange(scans) % 2
    score = shift * label + np.random.default_rng(seed).normal(size=scans)
    path = [f"{index:03}.png" for index in range(scans)]
    table = pd.DataFrame({"path": path, "group": path, "label": label, "score": score})
    with tracker.run(name=f"{model} {seed}", tags={"kind": "training"}) as run:
        options = {"model": model, "seed": seed, "threads": seed, **params}
        run.log_params(options)
        log_method(run, options)
        run.log_metrics({"test/balanced_accuracy": 0.5 + seed / 10, "test/pixel_ap": 0.3})
        run.log_table(table, "scores.parquet")
    return run.run_id


@pytest.fixture(scope="module")
def tracker(desk: Terminal, migrated_store: Path) -> Tracker:
    shutil.copy(migrated_store, desk.folder / "mlflow.db")
    return Tracker(tracking_uri=f"sqlite:///{desk.folder}/mlflow.db")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal whose store holds runs that were logged by hand."""
    return Terminal(tmp_path_factory.mktemp("desk"), draws=True, COLUMNS="100")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Terminal:
    """A terminal in a folder without a store."""
    return Terminal(tmp_path / "elsewhere", draws=True, COLUMNS="100")


@pytest.fixture(scope="module")
def runs(tracker: Tracker) -> list[str]:
    """Two seeds of a bad autoencoder, two of a good VAE."""
    return [log(tracker, model=m, seed=s, shift=x) for m, x in (("ae", 0.5), ("vae", 3.0)) for s in (0, 1)]


def compare(terminal: Terminal, *options: str, **environment: str) -> Outcome:
    return terminal.run("mriad/compare/__main__.py", *options, environment=environment)


def test_tables_and_figure_of_pooled_methods(desk: Terminal, runs: list[str]) -> None:
    outcome = compare(desk, *runs).ok()
    text = " ".join(outcome.out.split())
    assert "60 test scans in 60 groups: 30 healthy and 30 anomalous." in text
    assert "vae minus AUROC +0." in text and "< 0.001" in text
    assert "0.550 ± 0.071" in text  # of the logged balanced accuracy
    assert "Note:" not in outcome.out and outcome.err == ""
    folder = desk.folder / "comparison"
    assert {file.name for file in folder.iterdir()} == {"methods.csv", "differences.csv", "comparison.png"}
    for name in ("methods.csv", "differences.csv", "comparison.png"):
        assert f"comparison/{name}" in outcome.out
    methods = pd.read_csv(folder / "methods.csv")
    assert methods["method"].tolist() == methods["model"].tolist() == ["vae", "ae"]
    assert methods["runs"].tolist() == [" ".join(runs[2:]), " ".join(runs[:2])]
    assert methods["seeds"].tolist() == [2, 2]
    assert methods["balanced_accuracy"].tolist() == pytest.approx([0.55, 0.55])
    assert methods["pixel_ap_sd"].tolist() == [0, 0]
    assert (methods["auroc_low"] < methods["auroc"]).all() and (methods["auroc"] < methods["auroc_high"]).all()
    differences = pd.read_csv(folder / "differences.csv")
    assert differences["metric"].tolist() == ["auroc", "average_precision"]
    assert differences["difference"][0] == pytest.approx(methods["auroc"][0] - methods["auroc"][1])


def test_one_run_alone(desk: Terminal, runs: list[str]) -> None:
    outcome = compare(desk, runs[0], "--output", "alone").ok()
    assert "minus" not in outcome.out
    assert len(pd.read_csv(desk.folder / "alone" / "methods.csv")) == 1
    assert len(pd.read_csv(desk.folder / "alone" / "differences.csv")) == 0


def test_markdown_is_all_there_is_on_stdout(desk: Terminal, runs: list[str]) -> None:
    outcome = compare(desk, *runs, "--markdown", "--output", "md").ok()
    lines = outcome.out.splitlines()
    assert lines[0] == "| Method | Seeds | AUROC | AP | Balanced acc. | Pixel AP |"
    assert [line.split(" | ")[:2] for line in lines[2:]] == [["| vae", "2"], ["| ae", "2"]]
    assert "md/methods.csv" in outcome.err


def test_a_seed_twice_counts_once_and_is_told(desk: Terminal, tracker: Tracker, runs: list[str]) -> None:
    again = log(tracker, model="ae", seed=1, shift=0.6)
    outcome = compare(desk, *runs, again, "--output", "twice").ok()
    assert f"Note: Runs {runs[1]} and {again} have the same options" in " ".join(outcome.out.split())
    assert pd.read_csv(desk.folder / "twice" / "methods.csv")["runs"][1] == f"{runs[0]} {again}"


def test_another_test_set(desk: Terminal, tracker: Tracker, runs: list[str]) -> None:
    same_method = log(tracker, model="ae", seed=1, scans=SCANS - 10)
    for order in ([runs[1], same_method], [runs[0], runs[2], same_method]):
        text = compare(desk, *order, "--output", "refused").sentence(
            f"run {same_method} (lacks 10 of its 60 scans, has 0 others)"
        )
        assert f"those of run {order[0]}" in text
    assert not (desk.folder / "refused").exists()


def test_bad_input_is_told_in_a_sentence(desk: Terminal, runs: list[str], elsewhere: Terminal) -> None:
    compare(desk).sentence("RUN_ID", "required")
    compare(desk, runs[0], "--colour").sentence("--colour", "--help")
    compare(desk, runs[0], "nope").sentence("no run 'nope'", "--tracking-uri")
    compare(desk, runs[0], "--output", "mlflow.db").sentence("mlflow.db", "--output")
    compare(desk, runs[0], "--tracking-uri", "foo://x").sentence("foo://x cannot be opened", "set --tracking-uri to")
    compare(elsewhere, runs[0]).sentence("There is no MLflow store", "--tracking-uri")
    assert {file.name for file in elsewhere.folder.iterdir()} == {".terminal"}


@pytest.mark.parametrize("way", ["option", "variable"])
def test_the_store_may_be_elsewhere(desk: Terminal, runs: list[str], elsewhere: Terminal, way: str) -> None:
    uri = f"sqlite:///{desk.folder}/mlflow.db"
    options = ["--tracking-uri", uri] if way == "option" else []
    compare(elsewhere, runs[0], *options, **({"MLFLOW_TRACKING_URI": uri} if way == "variable" else {})).ok()
    assert (elsewhere.folder / "comparison" / "methods.csv").exists()
    assert not (elsewhere.folder / "mlflow.db").exists()


def test_trained_runs_and_an_evaluation(bench: Terminal, ae: TrainedRun, vae: TrainedRun) -> None:
    bench.evaluate(f"run={ae.id}", "threshold=quantile").ok()
    ids = [ae.id, vae.id, bench.newest("evaluation").id]
    compare(bench, *ids, "--output", "trained").ok()
    methods = pd.read_csv(bench.folder / "trained" / "methods.csv").set_index("method")
    assert set(methods.index) == {"ae threshold=youden", "ae threshold=quantile", "vae"}
    for name, run in (("ae threshold=youden", ae), ("vae", vae)):
        row = methods.loc[name]
        assert row["runs"] == run.id
        for metric in ("auroc", "average_precision", "balanced_accuracy", "pixel_ap", "dice", "tumour/recall"):
            assert row[metric] == pytest.approx(run.metrics[f"test/{metric}"]), metric
    pairs = pd.read_csv(bench.folder / "trained" / "differences.csv").query("metric == 'auroc'")
    same = pairs[~pairs["method"].eq("vae") & ~pairs["other"].eq("vae")].iloc[0]
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)


def test_help_does_not_wait_for_heavy_imports(desk: Terminal) -> None:
    program = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        "try: runpy.run_module('mriad.compare', run_name='__main__')\n"
        "except SystemExit as end: print(end.code)\n"
        "heavy = {'torch', 'lightning', 'mlflow', 'pandas', 'numpy', 'scipy', 'matplotlib', 'hydra', 'rich'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    outcome = desk.shell(f'python -c "{program}"').ok()
    assert outcome.out.startswith("usage: python -m mriad.compare")
    assert outcome.out.splitlines()[-2:] == ["0", "HEAVY []"]


def test_the_module_is_run_by_its_name(desk: Terminal) -> None:
    desk.shell("python -m mriad.compare").sentence("RUN_ID", "required")
