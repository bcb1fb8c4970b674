"""The commands that the docs have for a cluster are typed as they stand there, with nothing but what shrinks them."""

import re

import pytest
from commands.brains import write_scans
from commands.command_line import REPOSITORY, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SMALLER = "data=folder data.image_size=32 data.batch_size=8 trainer.max_epochs=1 trainer.accelerator=cpu threads=1"
SHRUNK = {  # what a word of a line takes to run on this machine, appended to the line
    "hydra/launcher=slurm": "hydra.launcher.gpus=0 hydra.launcher.cpus=1 hydra.launcher.memory_gb=1",
    "sweep=vae_search": "sweep.trials=2",
    "trainer=ddp": "trainer.devices=2 trainer.num_nodes=1 trainer.precision=32-true",
}
TRAININGS = {"hydra/launcher=joblib": 4, "hydra/launcher=slurm": 4, "sweep=vae_search": 2, "trainer=ddp": 1}
PAGES = ("cluster.md", "several_gpus.md")
SMALL_CLUSTER = {"--nodes=2 --ntasks-per-node=4": "--nodes=1 --ntasks-per-node=2"}


def lines():
    """The trainings of every block of the two pages."""
    text = "\n".join((REPOSITORY / "docs" / "guides" / page).read_text() for page in PAGES)
    blocks = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if re.match(r"(srun .*)?python train\.py ", line)]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("data") / "scans")


@pytest.mark.parametrize("line", lines())
def test_a_line_of_the_docs_trains_what_it_says(line, slurm, scans, tmp_path):
    for large, small in SMALL_CLUSTER.items():
        line = line.replace(large, small)
    kinds = [word for word in TRAININGS if word in line]
    assert len(kinds) == 1, f"say in this test how many trainings '{line}' starts"
    terminal = Terminal(tmp_path, **slurm)
    typed = line.replace("train.py", f"'{REPOSITORY}/train.py'")
    terminal.shell(f"{typed} {SMALLER} data.root='{scans}' {SHRUNK.get(kinds[0], '')}").ok()
    trainings = terminal.runs("training")
    assert [run.info.status for run in trainings] == ["FINISHED"] * TRAININGS[kinds[0]]
    assert all("test/auroc" in run.data.metrics for run in trainings)
