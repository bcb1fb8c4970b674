import dataclasses
import io

import pandas as pd
import pytest
from rich.console import Console

from mriad.audit.audit import Audit
from mriad.audit.terminal import print_audit

from .test_audit import audit_of


def shown(audit: Audit) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_audit(audit, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def audit(leaky):
    return audit_of(leaky)


def line_of(text, start):
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_verdict_and_numbers_are_told(audit):
    text = shown(audit)
    assert audit.verdict in " ".join(text.split())
    best = audit.features[audit.features["feature"] == "mean"].set_index("stage")
    assert f"{best['auroc']['raw']:.3f}" in line_of(text, "mean intensity")
    assert f"{best['sign']['scaled']} {best['auroc']['scaled']:.3f}" in line_of(text, "mean intensity")
    assert "3 (60 %)" in line_of(text, "test healthy")
    assert line_of(text, "class").split()[1:] == ["healthy", "10", "2", "0", "5", "0"]


def test_what_tells_nothing_is_named_in_one_line(audit):
    assert "file format" in line_of(shown(audit), "Tells nothing")
    assert "mean" not in line_of(shown(audit), "Tells nothing")


def test_a_published_protocol_is_called_flawed(audit):
    assert "flawed on purpose" not in shown(audit)
    assert "flawed on purpose" in shown(dataclasses.replace(audit, published=True))


def test_odd_names_are_printed_as_they_are(audit):
    odd = pd.DataFrame(
        {"path": ["a [bold]b[/bold].png"], "role": ["test"], "class": ["[red]"], "distance": [0.3], "z": [7.25]}
    )
    line = line_of(shown(dataclasses.replace(audit, outliers=odd)), "a [bold]b")
    assert line.split() == ["a", "[bold]b[/bold].png", "test", "[red]", "7.2"]


def test_one_label_alone_is_printed_without_features(clean):
    text = shown(audit_of(clean, scans=clean.scans[clean.scans["label"] == 0]))
    assert "No AUROC can be had" in text and "Without any model" not in text
