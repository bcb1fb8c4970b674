"""The Optuna study behind a search, in a database so that it outlives the search."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from filelock import FileLock

from mriad.errors import MriadError
from mriad.passwords import shown
from mriad.tracking.store import SQLITE, database_file, first_line, lock_file, with_password

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna import Study

PARENT, INTERRUPTED, FAILURE = "parent", "interrupted", "failure"  # attributes of a trial


def storage_of(url: str | None, tracking_uri: str) -> str:
    """Database URL of the studies: the given one, else ``optuna.db`` beside a SQLite tracking store.

    Raises:
        MriadError: if none is given and the tracking store is no file.
    """
    if url is not None:
        return url
    if file := database_file(tracking_uri):
        return f"{SQLITE}{file.with_name('optuna.db')}"
    raise MriadError(
        f"A search that logs to {tracking_uri} needs a database for its study; set sweep.storage, "
        "as in sweep.storage=postgresql://user@host/optuna or sweep.storage=sqlite:///optuna.db."
    )


def open_study(url: str, name: str, *, minimize: bool, seed: int, workers: int) -> Study:
    """Open a study; make it and its database if they are not there.

    Args:
        url: database URL; its password may be concealed.
        name: name of the study.
        minimize: whether a smaller value is better.
        seed: of the sampler.
        workers: trials that run at a time.

    Raises:
        MriadError: if Optuna is not installed, or the database cannot be opened or its password is not known here.
    """
    try:
        import optuna
    except ImportError:
        raise MriadError("A search needs Optuna; install it with: pip install 'mriad[search]'") from None
    address = with_password(url, "sweep.storage")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    try:
        with FileLock(lock_file(url)):  # two searches that make the tables at once break them
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(address, engine_kwargs={"pool_pre_ping": True}),
                study_name=name,
                direction="minimize" if minimize else "maximize",
                load_if_exists=True,
            )
    except Exception as error:
        raise MriadError(
            f"The studies in {shown(url)} cannot be opened ({first_line(error)}); set sweep.storage to a database, "
            "as in sweep.storage=sqlite:///optuna.db."
        ) from error
    drawn = len(study.trials)  # a search that goes on must not draw its first random points again
    study.sampler = optuna.samplers.TPESampler(seed=seed + drawn, multivariate=True, constant_liar=workers > 1)
    return study


def requeue_open_trials(study: Study, parent: str) -> None:
    """Put the trials that an earlier attempt at a search has left running first in line again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(PARENT) == parent:
            study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)


def trials_done(study: Study) -> int:
    """Trials that have ended by themselves, well or not."""
    return sum(trial.state.is_finished() and INTERRUPTED not in trial.user_attrs for trial in study.trials)


def figures(study: Study, objective: str) -> dict[str, Figure]:
    """Which option mattered, and which values went together; nothing before there are trials to compare.

    Args:
        study: the study.
        objective: what its values are.
    """
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure as Drawn
    from optuna.trial import TrialState
    from optuna.visualization import matplotlib as draw

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 2:
        return {}
    plt.switch_backend("Agg")
    plots: dict[str, Callable[..., Axes]] = {
        "parameter_importance": draw.plot_param_importances,
        "parallel_coordinates": draw.plot_parallel_coordinate,
    }
    drawn = {}
    for name, plot in plots.items():
        try:
            figure = plot(study, target_name=objective).figure
            assert isinstance(figure, Drawn)
        except (RuntimeError, ValueError) as error:
            print(f"{name}.png is not drawn: {error}")
            continue
        figure.set_size_inches(11, 5)
        figure.set_layout_engine("tight")
        drawn[name] = figure
        plt.close(figure)
    return drawn
