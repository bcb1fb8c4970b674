import atexit
import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import cloudpickle
import pytest
import torch
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf

from mriad.errors import MriadError
from mriad.processes import team
from mriad.processes.devices import announce, processes_to_start, run_on_devices
from mriad.ranks import is_first, set_rank
from mriad.tracking.tracker import Tracker


@pytest.fixture(autouse=True)
def nothing_started(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_"))]:
        monkeypatch.delenv(name)
    yield
    set_rank(0)
    logging.disable(logging.NOTSET)


def trainer(**options):
    return OmegaConf.create({"accelerator": "cpu", "devices": 1} | options)


def test_one_device_takes_no_other_process():
    assert processes_to_start(trainer()) == 0
    assert processes_to_start(trainer(devices="auto")) == 0


@pytest.mark.parametrize(("wanted", "count"), [(1, 1), (3, 3), ([0, 1], 2), (-1, 1)])
def test_ddp_takes_a_process_per_device(wanted, count):
    assert processes_to_start(trainer(strategy="ddp", devices=wanted)) == count


def test_a_rank_of_torchrun_needs_no_other_and_knows_its_number(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert processes_to_start(trainer(strategy="ddp", devices=2, num_nodes=2)) == 0
    assert not is_first()
    assert processes_to_start(trainer()) == 0
    assert is_first()


def test_a_task_of_srun_needs_no_other(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert processes_to_start(trainer(strategy="ddp", devices=2)) == 2  # the script of a job, and no step of it
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert processes_to_start(trainer(strategy="ddp", devices=2)) == 0
    assert is_first()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"devices": 2}, r"trainer.devices=2 and trainer.num_nodes=1 take one .* choose trainer=ddp"),
        ({"num_nodes": 2}, r"choose trainer=ddp, or one device"),
        ({"devices": 2, "strategy": "ddp_spawn"}, "trainer.strategy=ddp_spawn .* choose ddp"),
        ({"devices": 0}, r"trainer.devices=0 is no number of devices; give 1 or more"),
        ({"devices": "two"}, "trainer.devices=two is no number of devices"),
        ({"devices": 2, "strategy": "ddp", "num_nodes": 2}, "trainer.num_nodes=2 .* start them with srun or torchrun"),
    ],
)
def test_options_that_do_not_fit_are_told(options, sentence):
    with pytest.raises(MriadError, match=sentence):
        processes_to_start(trainer(**options))


@pytest.mark.parametrize("accelerator", ["auto", "gpu"])
def test_more_gpus_than_there_are_are_told(monkeypatch, accelerator):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert processes_to_start(trainer(strategy="ddp", devices=-1, accelerator=accelerator)) == 2
    with pytest.raises(MriadError, match=r"trainer.devices=3 is more than the 2 GPUs of this machine"):
        processes_to_start(trainer(strategy="ddp", devices=3, accelerator=accelerator))


def test_another_number_of_processes_than_of_devices_is_told(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(MriadError, match="is 2 devices, and 4 processes were started; make them as many"):
        processes_to_start(trainer(strategy="ddp", devices=2))


def says_who_it_is(cfg):
    print("rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], sys.argv[0])
    return cfg.start + int(os.environ["RANK"])


def lets_rank_1_raise(cfg):
    if os.environ["RANK"] == "1":
        raise ValueError("unlucky")
    time.sleep(1000)


def loses_rank_1(cfg):
    if os.environ["RANK"] == "0":
        announce(cfg.run_id)
        Path(cfg.folder, "announced").touch()
        time.sleep(1000)
    while not Path(cfg.folder, "announced").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def dies_after_its_task(cfg):
    file = Path(cfg.folder, "process")
    if os.environ["RANK"] == "1":
        partial = file.with_suffix(".partial")
        partial.write_text(str(os.getpid()))
        partial.replace(file)
        atexit.register(os.abort)
        return 1.0
    while not file.exists():
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(int(file.read_text()), 0)
            time.sleep(0.05)
    return 0.0


def saves_when_interrupted(cfg):
    Path(cfg.folder, f"started{os.environ['RANK']}").touch()
    try:
        time.sleep(1000)
    finally:
        Path(cfg.folder, f"saved{os.environ['RANK']}").touch()


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Runs a task of this file on two devices, with a config, as a job that writes to ``tmp_path``."""
    monkeypatch.setattr(team, "_PATIENCE", 10.0)
    monkeypatch.setattr(sys, "argv", ["train.py", "model=toy"])
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the new processes cannot import it
    hydra = OmegaConf.structured(HydraConf(job_logging={"version": 1, "root": None}))
    hydra.runtime.output_dir = str(tmp_path)
    instances = dict(Singleton._instances)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))
    yield lambda task, **options: run_on_devices(2, task, OmegaConf.create(options))
    Singleton._instances = instances
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
def test_rank_0_has_the_terminal_and_the_answer(job, tmp_path, capfd):
    assert job(says_who_it_is, start=5) == 5
    assert capfd.readouterr().out == "rank 0 of 2 train.py\n"
    assert (tmp_path / "rank1.log").read_text() == "rank 1 of 2 train.py\n"


@pytest.mark.slow
def test_how_a_process_ends_when_its_task_is_done_does_not_matter(job, tmp_path):
    assert job(dies_after_its_task, folder=str(tmp_path)) == 0.0


@pytest.mark.slow
def test_one_that_raises_ends_the_others(job, tmp_path, monkeypatch):
    monkeypatch.setattr(team, "_PATIENCE", 0.2)
    with pytest.raises(MriadError, match=r"^The process of rank 1 failed: ValueError: unlucky; see .*rank1\.log\.$"):
        job(lets_rank_1_raise)
    assert "Traceback" in (tmp_path / "rank1.log").read_text()


@pytest.mark.slow
def test_one_that_is_killed_ends_the_others_and_the_run_says_why(job, tmp_path, monkeypatch, tracking_uri):
    monkeypatch.setattr(team, "_PATIENCE", 0.2)
    tracker = Tracker(tracking_uri=tracking_uri)
    run = tracker.client.create_run(tracker.experiment_id)
    logger = {"_target_": "mriad.tracking.tracker.Tracker", "tracking_uri": tracking_uri}
    with pytest.raises(MriadError, match=r"^The process of rank 1 was killed by SIGKILL\.$") as error:
        job(loses_rank_1, run_id=run.info.run_id, logger=logger, folder=str(tmp_path))
    run = tracker.client.get_run(run.info.run_id)
    assert (run.info.status, run.data.tags["failure"]) == ("FAILED", str(error.value))


@pytest.mark.slow
def test_ctrl_c_lets_rank_0_save(job, tmp_path):
    def press():
        while not ((tmp_path / "started0").exists() and (tmp_path / "started1").exists()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        job(saves_when_interrupted, folder=str(tmp_path))
    assert {file.name for file in tmp_path.glob("saved*")} == {"saved0"}
