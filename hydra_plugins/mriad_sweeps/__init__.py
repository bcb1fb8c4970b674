"""mriad's sweeper and launchers where Hydra looks for them: it takes plugins from this namespace only."""

from mriad.sweeps.launchers.processes import ProcessLauncher
from mriad.sweeps.launchers.slurm import SlurmLauncher
from mriad.sweeps.sweeper import JobSweeper


class MriadSweeper(JobSweeper):
    """The sweeper of ``conf/hydra/sweeper/mriad.yaml``."""


class Joblib(ProcessLauncher):
    """The launcher of ``conf/hydra/launcher/joblib.yaml``."""


class Slurm(SlurmLauncher):
    """The launcher of ``conf/hydra/launcher/slurm.yaml``."""
