import pytest

pytestmark = pytest.mark.slow


def test_without_slurm_a_sweep_ends_before_its_first_job(toy):
    code, sentence = toy.type("-m", "hydra/launcher=slurm", "seed=1,2", PATH="/nowhere")
    assert code == 1
    assert "hydra/launcher=slurm finds no sbatch here" in sentence and "hydra/launcher=joblib" in sentence
    assert toy.finished_seeds() == []
    assert toy.children() == [] and toy.parent().info.status == "FAILED"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("hydra.launcher.requeues=-1",), "hydra.launcher.requeues=-1 is no whole number from 0 up"),
        (("hydra.launcher.minutes=2",), "hydra.launcher.signal_seconds=120 is no time within hydra.launcher.minutes=2"),
        (("hydra.launcher.signal_seconds=0",), "hydra.launcher.signal_seconds=0 is no time within"),
    ],
)
def test_limits_that_make_no_sense_are_told(toy, options, told):
    assert told in toy.type("-m", "hydra/launcher=slurm", *options, "seed=1,2")[1]
    assert toy.finished_seeds() == []
