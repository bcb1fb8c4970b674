import sys
import time

import pytest

from mriad.errors import MriadError
from mriad.tracking.tracker import Tracker

CPU = "system/cpu_utilization_percentage"


@pytest.fixture
def tracker(tracking_uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    return Tracker(tracking_uri=tracking_uri, system_metrics=True)


def wait_for_steps(tracker, run, count):
    for _ in range(6000):
        if len(steps := tracker.client.get_metric_history(run.run_id, CPU)) >= count:
            return sorted(point.step for point in steps)
        time.sleep(0.05)
    raise AssertionError("no system metrics")


def test_a_run_tells_what_the_machine_does_and_a_resumed_one_goes_on(tracker):
    with tracker.run(name="mine", tags={}) as run:
        run.log_metrics({"train/loss": 1.0})
        wait_for_steps(tracker, run, 2)
    before = wait_for_steps(tracker, run, 2)
    assert before == list(range(len(before)))
    metrics = tracker.client.get_run(run.run_id).data.metrics
    assert {CPU, "system/system_memory_usage_megabytes", "train/loss"} <= set(metrics)
    assert [name for name, *_ in run._points] == ["train/loss"]  # what the machine did is no metric of the model
    with tracker.run(name="mine", tags={}, resume=run.run_id) as run:
        wait_for_steps(tracker, run, len(before) + 1)
    after = wait_for_steps(tracker, run, len(before) + 1)
    assert after == list(range(len(after)))


def test_it_ends_with_the_run(tracker):
    with pytest.raises(ValueError, match="broken"), tracker.run(name="mine", tags={}) as run:
        wait_for_steps(tracker, run, 1)
        raise ValueError("broken")
    assert tracker.client.get_run(run.run_id).info.status == "FAILED"
    count = len(wait_for_steps(tracker, run, 1))
    time.sleep(0.3)
    assert len(wait_for_steps(tracker, run, 1)) == count


def test_without_psutil_it_is_refused_at_once(tracking_uri, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MriadError, match=r"needs psutil; install it with: pip install 'mriad\[system\]'"):
        Tracker(tracking_uri=tracking_uri, system_metrics=True)
    Tracker(tracking_uri=tracking_uri)
