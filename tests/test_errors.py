import pytest

from mriad.errors import OptionParser, fail, unknown


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("man", "score.pooling=man is unknown, perhaps mean was meant; choose mean, top_fraction or max."),
        ("xyz", "score.pooling=xyz is unknown; choose mean, top_fraction or max."),
        (None, "score.pooling=None is unknown; choose mean, top_fraction or max."),
    ],
)
def test_an_unknown_value_is_told_with_what_there_is_and_the_nearest(value, sentence):
    assert str(unknown("score.pooling", value, ("mean", "top_fraction", "max"))) == sentence


def test_the_last_sentence_holds_no_password(capsys):
    with pytest.raises(SystemExit):
        fail("No run in postgresql://me:secret@host/db.")
    assert capsys.readouterr().err == "Error: No run in postgresql://me:***@host/db.\n"


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("--trackinguri=x", "perhaps --tracking-uri=x was meant; --help lists the options."),
        ("--markdwn", "perhaps --markdown was meant"),
        ("--xyzzy", "Unrecognized arguments: --xyzzy; --help"),
    ],
)
def test_a_misspelt_option_of_a_plain_command_is_told_with_the_nearest(capsys, typed, part):
    parser = OptionParser(prog="x")
    parser.add_argument("--tracking-uri")
    parser.add_argument("--markdown", action="store_true")
    with pytest.raises(SystemExit):
        parser.parse_args([typed])
    assert part in capsys.readouterr().err
