"""What the machine does while a run lasts: its processors, memory, disk, network and GPUs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mriad.errors import MriadError

if TYPE_CHECKING:
    from mriad.tracking.run import Run

log = logging.getLogger(__name__)

_SECONDS = 10.0  # between two looks, unless MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise


def require_system_metrics() -> None:
    """Raise a MriadError if what reads the machine is not installed."""
    try:
        import psutil  # noqa: F401
    except ImportError:
        raise MriadError(
            "logger.system_metrics=true needs psutil; install it with: pip install 'mriad[system]'"
        ) from None


@contextmanager
def system_metrics(run: Run) -> Iterator[None]:
    """Log MLflow's system metrics of this machine, as ``system/...``, while a run is open.

    They go the way of all that the run logs, so that they wait beside it while the store is away; MLflow's own thread
    would end then.

    Args:
        run: the run; one that was resumed goes on counting where it was.
    """
    from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL

    monitors, ended = _monitors(), threading.Event()
    seconds = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or _SECONDS
    first = run.next_system_step()

    def watch() -> None:
        step = first
        while not ended.wait(seconds):
            try:
                run.log_system(_read(monitors), step)
            except Exception as error:  # must not end what it only looks at
                log.warning("The system metrics of run %s end here: %s", run.run_id, error)
                return
            step += 1

    thread = threading.Thread(target=watch, daemon=True, name="system-metrics")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _monitors() -> list[Any]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with suppress(ImportError, RuntimeError):  # no GPU, or nothing to ask it with
        monitors.append(GPUMonitor())
    return monitors


def _read(monitors: list[Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for monitor in monitors:
        monitor.collect_metrics()
        found |= monitor.aggregate_metrics()
        monitor.clear_metrics()
    return found
