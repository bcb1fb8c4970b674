import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mriad.compare.tables import as_markdown, print_comparison


def methods(*names, **columns):
    table = pd.DataFrame({"method": names, "seeds": 3})
    for metric, mean in (("auroc", 0.8), ("average_precision", 0.7)):
        table[metric], table[f"{metric}_sd"] = mean, 0.0123
        table[f"{metric}_low"], table[f"{metric}_high"] = mean - 0.1, mean + 0.1
    return table.assign(**columns)


def differences(*pairs, p=0.2):
    rows = [
        {"metric": metric, "method": a, "other": b, "difference": 0.0312, "low": -0.01, "high": 0.07, "p": p}
        for metric in ("auroc", "average_precision")
        for a, b in pairs
    ]
    return pd.DataFrame(rows).assign(p_holm=0.4)


NONE = pd.DataFrame(columns=["metric", "method", "other", "difference", "low", "high", "p", "p_holm"])


def printed(table, pairs, width=100):
    stream = io.StringIO()
    print_comparison(table, pairs, Console(file=stream, width=width))
    return stream.getvalue()


def words(text):
    return " ".join(text.split()).replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-")


def test_a_method_is_told_with_deviation_and_interval():
    text = printed(methods("ae"), NONE)
    assert "ae 3 0.800 ± 0.012 0.700 ± 0.012 0.700-0.900 0.600-0.800" in words(text)
    assert "minus" not in text


def test_one_seed_is_told_without_deviation_and_a_missing_metric_by_a_dash():
    table = methods("ae", "vae", auroc_sd=np.nan, dice=[0.5, np.nan])
    assert "ae 3 0.800 0.700 ± 0.012 0.500" in words(printed(table, NONE))
    assert "vae 3 0.800 0.700 ± 0.012 -" in words(printed(table, NONE))


def test_metrics_that_no_method_has_get_no_column():
    assert "Dice" not in printed(methods("ae"), NONE)
    assert "Dice" not in printed(methods("ae", dice=np.nan), NONE)
    assert "Dice" in printed(methods("ae", dice=0.1), NONE)


def test_a_difference_is_told_with_its_sign_interval_and_p():
    text = words(printed(methods("ae", "vae"), differences(("vae", "ae"))))
    assert "vae minus AUROC +0.031 -0.010 to +0.070 0.200 ae AP +0.031 -0.010 to +0.070 0.200" in text
    assert "Holm" not in text and "0.400" not in text


def test_more_than_one_pair_gets_corrected_p_values():
    text = words(printed(methods("a", "b", "c"), differences(("a", "b"), ("a", "c"), ("b", "c"))))
    assert "p, Holm" in text and "0.200 0.400" in text


@pytest.mark.parametrize(("p", "text"), [(0.00099, "< 0.001"), (0.001, "0.001"), (1.0, "1.000")])
def test_p_values_below_what_the_resamples_can_tell_are_bounds(p, text):
    assert f"+0.070 {text} " in words(printed(methods("a", "b"), differences(("a", "b"), p=p))) + " "


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_tables_fit_the_terminal_and_cut_nothing(width):
    every = {name: 0.1 for name in ("balanced_accuracy", "pixel_ap", "dice")}
    every |= {f"{name}_{end}": 0.1 for name in every for end in ("sd", "low", "high")}
    names = ["ae latent_dim=64 max_epochs=8", "vae beta=0.05"]
    text = printed(methods(*names, **every), differences(names), width=width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    for part in ("latent_dim=64", "max_epochs=8", "beta=0.05"):
        assert part in text
    assert ("Dice" in text) == (width >= 100)


def test_names_with_brackets_are_printed_as_they_are():
    name = "vae widths=[32, 64]"
    assert "[32, 64]" in printed(methods(name), differences((name, "b")))


def test_markdown_has_a_row_per_method():
    table = methods("ae", "a|b", dice=[0.5, np.nan])
    assert [words(line) for line in as_markdown(table).splitlines()] == [
        "| Method | Seeds | AUROC | AP | Dice |",
        "| --- | --: | --: | --: | --: |",
        "| ae | 3 | 0.800 ± 0.012 (0.700-0.900) | 0.700 ± 0.012 (0.600-0.800) | 0.500 |",
        "| a\\|b | 3 | 0.800 ± 0.012 (0.700-0.900) | 0.700 ± 0.012 (0.600-0.800) | - |",
    ]
