import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mriad.errors import MriadError
from mriad.sweeps.space import as_text, space_of


def space(ranges, *options):
    return space_of(ranges, OverridesParser.create().parse_overrides(list(options)))


@pytest.mark.parametrize(
    ("words", "distribution"),
    [
        ("interval(0.1,0.5)", FloatDistribution(0.1, 0.5)),
        ("interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("int(interval(2,8))", IntDistribution(2, 8)),
        ("tag(log,interval(0.001,1))", FloatDistribution(0.001, 1.0, log=True)),
        ("tag(log,int(interval(2,8)))", IntDistribution(2, 8, log=True)),
        ("range(2,9,3)", IntDistribution(2, 8, step=3)),
        ("choice(l1,ssim)", CategoricalDistribution(["l1", "ssim"])),
        ("l1,ssim", CategoricalDistribution(["l1", "ssim"])),
        ("choice([4,8],[8,16])", CategoricalDistribution(["[4,8]", "[8,16]"])),
    ],
)
def test_hydras_words_become_optunas_distributions(words, distribution):
    assert space({"option": words}) == ({"option": distribution}, {})
    assert space({}, f"option={words}") == ({"option": distribution}, {})


def test_the_command_line_goes_before_the_file():
    found = space(
        {"a": "interval(0.1,1.0)", "b": "interval(0.1,1.0)"}, "a=0.5", "b=choice(1,2)", "c=x", "sweep.trials=3"
    )
    assert found == ({"b": CategoricalDistribution(["1", "2"])}, {"a": "0.5", "c": "x"})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["a=1"], "varies nothing"),
        (["seed=1,2"], "set sweep.seeds=<n>"),
        (["a=interval(2.5,1)"], "is no range"),
        (["a=tag(log,interval(0,1))"], "is no range"),
        (["a=range(3,1)"], "is no range"),
    ],
)
def test_what_is_no_space_is_told(options, told):
    with pytest.raises(MriadError, match=told):
        space({}, *options)


def test_values_are_typed_so_that_they_come_back():
    assert [as_text(value) for value in ("[4,8]", 0.1 + 0.2, 3)] == ["[4,8]", "0.30000000000000004", "3"]
