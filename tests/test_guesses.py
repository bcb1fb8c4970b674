from pathlib import Path

import pytest

from mriad.guesses import known_options, nearest, nearest_option, option_files_with

CONF = Path(__file__).parent.parent / "conf"


@pytest.mark.parametrize(
    ("word", "guess"),
    [
        ("youdn", "youden"),
        ("Youden", "youden"),
        ("MEAN", "mean_std"),
        ("quant", "quantile"),
        ("magic", None),
        ("", None),
    ],
)
def test_the_nearest_word_is_found_or_none(word, guess):
    assert nearest(word, ["youden", "quantile", "mean_std", "fixed"]) == guess


@pytest.mark.parametrize(
    ("arguments", "name", "guess"),
    [
        ((), "modle", "model"),
        ((), "trainer.max_epoch", "trainer.max_epochs"),
        ((), "epochs", "trainer.max_epochs"),
        ((), "image_size", "data.image_size"),
        ((), "lr", "model.optimizer.lr"),
        ((), "trainer.lr", "model.optimizer.lr"),
        (("model=vae",), "beta", "model.beta"),
        (("model=vae",), "model.network.latent_dims", "model.network.latent_dim"),
        (("sweep=search",), "sweep.trial", "sweep.trials"),
        (("hydra/launcher=joblib",), "hydra.launcher.n_job", "hydra.launcher.n_jobs"),
        (("data=folder", "split=nonsense"), "data.layout.manfest", "data.layout.manifest"),
        ((), "xyzzy", None),
    ],
)
def test_the_nearest_option_is_found_in_whatever_group_it_stands(arguments, name, guess):
    assert nearest_option(name, known_options(CONF, "train", arguments)) == guess


def test_the_option_files_that_have_an_option_are_found():
    assert "model=vae" in option_files_with(CONF, "model.beta")
    assert "model=ae" not in option_files_with(CONF, "model.beta")
    assert option_files_with(CONF, "data.split.val_anomalies") == ["split=grouped"]
    assert option_files_with(CONF, "data.nothing") == []
    assert {"data=volumes", "data=bids"} <= set(option_files_with(CONF, "data.patches.size"))
    assert "data=volumes_base" not in option_files_with(CONF, "data.patches.size")
