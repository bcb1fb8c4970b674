import pytest

pytestmark = pytest.mark.slow


def test_without_slurm_a_sweep_ends_before_its_first_job(toy):
    code, sentence = toy.type("-m", "hydra/launcher=slurm", "seed=1,2", PATH="/nowhere")
    assert code == 1
    assert "hydra/launcher=slurm finds no sbatch here" in sentence and "hydra/launcher=joblib" in sentence
    assert toy.finished_seeds() == []
    assert toy.children() == [] and toy.parent().info.status == "FAILED"
