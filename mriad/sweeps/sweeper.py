"""The sweeper behind ``-m``: every combination of the options, or what a search asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from mriad.passwords import conceal_config, shown
from mriad.sweeps.attempt import Attempt
from mriad.sweeps.jobs import Jobs
from mriad.sweeps.parent import Parent, parent_of
from mriad.tracking.sweep import PARENT_VARIABLE


class JobSweeper(Sweeper):
    """Runs a sweep to its end, whatever becomes of single jobs, below one parent run."""

    def __init__(self, **_: Any) -> None:
        """Take no options; Hydra passes those of its basic sweeper."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives until the parent run is open."""
        conceal_config(config)
        self._task = task_function
        self.hydra_context = hydra_context  # the names under which Hydra's Sweeper looks for them
        self.config = config

    def sweep(self, arguments: list[str]) -> None:
        """Run all jobs.

        Raises:
            MriadError: after the last job, if one of them failed; before the first, on bad options.
        """
        config = self.config
        assert config is not None and self.hydra_context is not None
        search = OmegaConf.select(config, "sweep")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        if search is None:
            (combinations,) = BasicSweeper.split_arguments(parser.parse_overrides(arguments), None)
            self.validate_batch_is_legal(combinations)
        _keep_config(config)
        with parent_of(config) as parent:
            launcher = self._launcher(parent)
            jobs = Jobs(launcher=launcher, parent=parent)
            if search is None:
                jobs.run(combinations)
            else:
                from mriad.sweeps.search import Search

                assert parent is not None
                options = parser.parse_overrides(arguments)
                Search(config=config, options=options, parent=parent, jobs=jobs, launcher=launcher).run()
            jobs.require_success()

    def _launcher(self, parent: Parent | None) -> Launcher:
        assert self.hydra_context is not None and self.config is not None
        known = {PARENT_VARIABLE: parent.run.run_id} if parent else {}
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context,
            task_function=Attempt(task=self._task, environment=known),
            config=self.config,
        )


def _keep_config(config: DictConfig) -> None:
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "multirun.yaml").write_text(shown(OmegaConf.to_yaml(config)), encoding="utf-8")
