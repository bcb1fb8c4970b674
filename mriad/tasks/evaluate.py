"""Test a trained detector again: as it was, under another threshold rule, or on other data."""

from __future__ import annotations

import logging

from omegaconf import DictConfig, OmegaConf

from mriad.audit.audit import Audit
from mriad.audit.record import record_audit
from mriad.data.datamodule import MRIDataModule
from mriad.errors import MriadError
from mriad.experiment.commands import next_commands, places, this_command
from mriad.experiment.data import data_sets, load_data
from mriad.experiment.evaluation import Evaluation
from mriad.experiment.job import prepare
from mriad.experiment.method import log_method
from mriad.experiment.provenance import rule_options
from mriad.experiment.recalibration import keep_recalibrated
from mriad.experiment.settle import settle_evaluation
from mriad.processes.devices import processes_to_start, run_on_devices
from mriad.report import print_result, record_result
from mriad.tracking.run import Run
from mriad.trainer.passes import measure, recalibrate

log = logging.getLogger(__name__)

_SEEN_BY = {
    "content": "are files that it has seen",
    "patient": "are of patients that it has seen",
    "near duplicate": "resemble scans that it has seen, or hang together with such",
}


def evaluate(cfg: DictConfig) -> float | None:
    """Run one evaluation, in a new MLflow run linked to the training.

    Args:
        cfg: the composed ``conf/evaluate.yaml``.

    Returns:
        Test AUROC, None where test holds one label only, and in a process that shares the test but for rank 0.

    Raises:
        MriadError: on bad input.
    """
    folder = prepare(cfg)
    if processes := processes_to_start(cfg.trainer):
        return run_on_devices(processes, evaluate, cfg)
    evaluation = settle_evaluation(cfg, folder)
    anew = evaluation.recalibration
    with evaluation.open_run() as run:
        run.log_text(OmegaConf.to_yaml(evaluation.data, resolve=True), "data.yaml")
        rule = rule_options(cfg) | evaluation.calibrate_options
        run.log_params(evaluation.choices | rule)
        log_method(run, evaluation.trained_options, threshold={"threshold": evaluation.rule} | rule)
        run.log_environment()

        datamodule = load_data(evaluation.test_data, roles=("test",), split=evaluation.split)
        if evaluation.elsewhere:
            _drop_seen(run, datamodule, evaluation)
        if anew:
            anew.set_aside(datamodule, run)
        run.log_table(datamodule.split_as_csv(), "split.csv")
        run.log_data_sets(data_sets(datamodule, roles=("val", "test") if anew else ("test",)))
        audit = Audit.of(datamodule)
        record_audit(run, audit)

        detector = evaluation.checkpoint.detector()
        detector.record = {"calibration": evaluation.calibration.as_record()}
        if anew:
            recalibrate(
                detector,
                datamodule,
                cfg.trainer,
                rule=anew.rule,
                pixel_quantile=anew.pixel_quantile,
                fitted_on=anew.fitted_on(str(datamodule.name)),
            )
        labelled_train = evaluation.checkpoint.labelled_train
        elsewhere = anew is None and (evaluation.elsewhere or evaluation.calibration.recalibrated)
        result = measure(detector, datamodule, cfg.trainer, labelled_train=labelled_train, elsewhere=elsewhere)
        if result is None:
            return None
        kept = keep_recalibrated(run, evaluation.checkpoint, datamodule, result.calibration, folder) if anew else None
        tested = f"run={run.run_id}" if kept else evaluation.detector
        source = evaluation.source.run_id if evaluation.source else None
        record_result(
            run,
            result,
            detector,
            audit=audit,
            split=datamodule.split_as_csv(),
            config_yaml=OmegaConf.to_yaml(evaluation.config, resolve=True),
            commands=[this_command(source), *next_commands(tested)],
        )
    print_result(result, places=places(run, kept))
    return result.metrics.get("auroc")


def _drop_seen(run: Run, datamodule: MRIDataModule, evaluation: Evaluation) -> None:
    """Leave out what the detector was trained or calibrated on, their patients, and what resembles them.

    Raises:
        MriadError: if nothing is left to be tested.
    """
    trained = evaluation.checkpoint
    total = len(datamodule.rows("test"))
    by_reason = datamodule.drop_seen(trained.known, key=trained.key, patients=evaluation.patients)
    dropped = sum(by_reason.values())
    known = ", ".join(f"{by_reason[reason]} {words}" for reason, words in _SEEN_BY.items() if by_reason.get(reason))
    unrelated = (
        ", or set patients=unrelated if the patient ids of the two data sets have nothing to do with each other"
        if by_reason.get("patient")
        else ""
    )
    if dropped == total:
        raise MriadError(
            f"All {total} test scans of '{datamodule.name}' are known from what the detector was trained or calibrated "
            f"on ({known}), so nothing is left to test it with; choose another data set{unrelated}."
        )
    run.set_tags({"overlap": f"{dropped} of {total} test scans dropped{f': {known}' if known else ''}"})
    counts = {f"test/overlap_dropped_{reason.replace(' ', '_')}": by_reason.get(reason, 0) for reason in _SEEN_BY}
    run.log_metrics({"test/overlap_dropped": dropped} | counts)
    if dropped:
        log.warning(
            "%d of %d test scans are known from what the detector was trained or calibrated on and are left out: %s%s.",
            dropped,
            total,
            known,
            unrelated.replace(", or", ";"),
        )
