from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from mriad.errors import MriadError
from mriad.experiment.kinds import require_kinds

CONF = Path(__file__).parents[2] / "conf"
UNTOLD = {"seed", "threads"}  # no constructor takes them; mriad.experiment.job looks at them
WRONG = ([64, 64], "many", float("nan"), {"a": 1}, True)


@pytest.fixture(scope="module")
def cfg():
    """A training with something of every room; whoever changes it puts back what was there."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=["model=synthetic_anomaly", "threshold=conformal"])
    OmegaConf.set_struct(cfg, False)
    return cfg


def numbers(node, prefix=""):
    """The numeric options of a config, by dotted name."""
    for key in node:
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        if isinstance(node[key], DictConfig):
            yield from numbers(node[key], f"{prefix}{key}.")
        elif isinstance(node[key], int | float) and not isinstance(node[key], bool):
            yield f"{prefix}{key}"


def refused(cfg, option, value):
    """What is said of a value, and whether it is refused at all."""
    before = OmegaConf.select(cfg, option)
    OmegaConf.update(cfg, option, value, merge=False)
    try:
        require_kinds(cfg)
    except MriadError as error:
        return str(error)
    finally:
        OmegaConf.update(cfg, option, before, merge=False)
    return ""


def test_what_is_shipped_is_of_the_right_kinds(cfg):
    assert require_kinds(cfg) is None


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_no_number_may_be_anything_else(cfg, wrong):
    options = set(numbers(cfg)) - UNTOLD - {"trainer.devices"}  # takes lists and words
    assert len(options) > 40
    assert {
        option for option in options if not refused(cfg, option, wrong).startswith(option.split(".weights")[0])
    } == set()


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("data.batch_size", True, "data.batch_size=true is of the wrong kind; give a whole number."),
        ("data.image_size", [64, 64], "data.image_size=[64, 64] is of the wrong kind; give a whole number."),
        ("data.image_size", 64.5, "data.image_size=64.5 is of the wrong kind; give a whole number."),
        ("data.drop_identical", 1, "data.drop_identical=1 is of the wrong kind; give true or false."),
        ("data.max_broken", None, "data.max_broken=null is of the wrong kind; give a number."),
        ("data.epoch_scans", "x", "data.epoch_scans=x is of the wrong kind; give a whole number or null."),
        ("trainer.max_epochs", [3], "trainer.max_epochs=[3] is of the wrong kind; give a whole number or null."),
        ("model.network.widths", 16, "model.network.widths=16 is of the wrong kind; give a list of whole numbers."),
        ("model.network.widths", [16, None], "model.network.widths=[16, None] is of the wrong kind; "),
        (
            "data.anomalies.weights",
            2,
            "data.anomalies.weights=2 is of the wrong kind; give a mapping to numbers or null.",
        ),
    ],
)
def test_the_sentence_names_the_option_and_what_it_takes(cfg, option, value, sentence):
    assert refused(cfg, option, value).startswith(sentence)
