"""Train on healthy scans, calibrate on val, test."""

from __future__ import annotations

from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from omegaconf import DictConfig, OmegaConf

from mriad.audit.audit import Audit
from mriad.audit.record import record_audit
from mriad.checkpoints.checkpoint import restore_best
from mriad.checkpoints.whole_files import WholeFiles
from mriad.errors import MriadError
from mriad.experiment.members import Members
from mriad.experiment.provenance import (
    describe,
    keep_checkpoint,
    next_commands,
    places,
    record_options,
    record_scans,
    tags,
    this_command,
    varied_here,
)
from mriad.experiment.resume import starting_point
from mriad.experiment.session import callbacks, connect, last_checkpoint, load_data, opened, prepare, stoppable
from mriad.models import Detector, FittedDetector
from mriad.processes.devices import processes_to_start, run_on_devices
from mriad.processes.hardware import compiled, settle
from mriad.report import print_result, record_result, record_training
from mriad.tasks.testing import calibrate, measure
from mriad.tracking.epochs import EpochLogger
from mriad.tracking.sweep import parent_run


def train(cfg: DictConfig) -> float | None:
    """Run one experiment.

    Args:
        cfg: the composed ``conf/train.yaml``.

    Returns:
        The value of ``objective`` for the chosen checkpoint, None where val cannot give it, and in a process that
        takes part in a training on several devices but for rank 0.

    Raises:
        MriadError: on bad input.
    """
    folder = prepare(cfg)
    tracker = connect(cfg)
    start = starting_point(cfg, tracker)
    if processes := processes_to_start(start.config.trainer):
        return run_on_devices(processes, train, cfg)
    members = Members.find(start.config, tracker, folder)
    start = members.join(start)
    cfg = start.config
    settle(cfg)
    seed_everything(cfg.seed, workers=True, verbose=False)
    labelled_train = cfg.data.get("labelled_train", 0)
    name = describe(start.choices, cfg.seed, labelled_train, varied_here(tracker))
    run_tags = tags(start.choices, cfg.data, folder)
    with opened(tracker, name=name, tags=run_tags, parent=parent_run(), resume=start.run_id) as run:
        options = record_options(run, cfg, start.choices)
        detector: Detector = instantiate(cfg.model)
        members.load_into(detector)
        detector.record = options
        if not members.checkpoints:  # each of them was asked when it was trained
            _require_masks_understood(detector, cfg, start.choices["model"])
        datamodule = load_data(cfg.data, roles=("train", "val", "test"), split=start.split)
        members.require_seen(datamodule)
        options |= record_scans(run, datamodule, start.earlier)
        audit = Audit.of(datamodule)
        record_audit(run, audit)
        val = datamodule.scans("val")
        instantiate(cfg.threshold).require(val["label"].to_numpy(), val["group"].to_numpy())

        called = callbacks(cfg)
        bar = any(isinstance(callback, ProgressBar) for callback in called)  # Lightning would add one of its own
        logger = EpochLogger(run=run)
        trainer: Trainer = instantiate(cfg.trainer, callbacks=called, logger=logger, enable_progress_bar=bar)
        trainer.strategy.checkpoint_io = WholeFiles()
        if isinstance(detector, FittedDetector):
            detector.fit_healthy(datamodule.fit_dataloader())
            checkpoint = folder / "best.ckpt"
        else:
            with stoppable(run, last_checkpoint(cfg)), compiled(detector, cfg.compile):
                trainer.fit(detector, datamodule, ckpt_path=start.checkpoint, weights_only=True)
            checkpoint = restore_best(trainer, detector, folder)

        seed_everything(cfg.seed, workers=True, verbose=False)  # what was drawn hangs on how long it trained here
        chosen = calibrate(detector, datamodule, cfg, checkpoint)
        run.log_metrics(chosen, step=max(trainer.current_epoch - 1, 0))
        result = measure(detector, datamodule, cfg.trainer, labelled_train=labelled_train)
        if result is None:
            return None
        record_result(
            run,
            result,
            detector,
            audit=audit,
            split=datamodule.split_as_csv(),
            config_yaml=OmegaConf.to_yaml(options["config"]),
            commands=[this_command(), *next_commands(f"run={run.run_id}")],
        )
        record_training(run, result, detector, anomalies=datamodule.anomaly_examples())
        keep_checkpoint(run, tracker, cfg, detector, checkpoint)
    print_result(result, places=places(run, name, checkpoint))
    return chosen.get(cfg.objective)


def _require_masks_understood(detector: Detector, cfg: DictConfig, model: str | None) -> None:
    """Raise a MriadError if what trains and what is served to it do not fit: masks for none, or none for masks."""
    given = [option for option in ("anomalies", "labelled_train") if cfg.data.get(option)]
    if given and not detector.learns_masks:
        raise MriadError(
            f"model={model} learns from healthy scans only and would take the anomalous ones of data.{given[0]} for "
            "healthy; drop that option, or choose a model that learns from masks, such as model=synthetic_anomaly."
        )
    if detector.learns_masks and not given:
        raise MriadError(f"model={model} learns from masks; set anomalies=all, or data.labelled_train=<scans>.")
