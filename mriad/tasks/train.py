"""Train on healthy scans, calibrate on val, test."""

from __future__ import annotations

from hydra.utils import instantiate
from lightning import seed_everything
from omegaconf import DictConfig, OmegaConf

from mriad.audit.audit import Audit
from mriad.audit.record import record_audit
from mriad.experiment.commands import next_commands, places, this_command
from mriad.experiment.data import load_data
from mriad.experiment.held_out import held_out
from mriad.experiment.provenance import keep_checkpoint, record_options, record_scans
from mriad.experiment.settle import settle_training
from mriad.processes.devices import run_on_devices
from mriad.report import print_result, record_result, record_training
from mriad.trainer.fit import fit
from mriad.trainer.passes import calibrate, measure


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
    training = settle_training(cfg)
    if training.processes:
        return run_on_devices(training.processes, train, cfg)
    cfg = training.config
    seed_everything(cfg.seed, workers=True, verbose=False)
    with training.open_run() as run:
        record = record_options(run, cfg, training.choices)
        detector = training.detector()  # before its scans: a wrong option need not wait for them

        datamodule = load_data(cfg.data, roles=("train", "val", "test"), split=training.split)
        datamodule.training_set.spatial_dims = detector.spatial_dims
        training.members.require_seen(datamodule)
        initial = training.initial
        if initial is not None:
            initial.warn_of_preparation(cfg)
            run.log_metrics(initial.leave_out_known(datamodule))
        seen_by = initial.checkpoint if initial else None
        detector.record = record | record_scans(run, datamodule, training.earlier, seen_by)
        audit = Audit.of(datamodule)
        record_audit(run, audit)
        val = datamodule.scans("val")
        instantiate(cfg.threshold).require(val["label"].to_numpy(), val["group"].to_numpy())

        start = training.earlier.path if training.earlier else None
        checkpoint, epoch = fit(detector, datamodule, cfg, run=run, folder=training.folder, start=start)
        chosen = calibrate(detector, datamodule, cfg, checkpoint) | held_out(detector, cfg.data)
        run.log_metrics(chosen, step=epoch)
        result = measure(detector, datamodule, cfg.trainer, labelled_train=training.labelled_train)
        if result is None:
            return None
        record_result(
            run,
            result,
            detector,
            audit=audit,
            split=datamodule.split_as_csv(),
            config_yaml=OmegaConf.to_yaml(record["config"]),
            commands=[this_command(), *next_commands(f"run={run.run_id}")],
        )
        record_training(run, result, detector, anomalies=datamodule.training_set.anomaly_examples())
        keep_checkpoint(run, training.tracker, cfg, detector, checkpoint)
    print_result(result, places=places(run, checkpoint))
    return chosen.get(cfg.objective)
