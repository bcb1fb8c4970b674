import io
from pathlib import Path

import pytest
from rich.console import Console

from mriad.terminal import say


@pytest.mark.parametrize("where", [Path("scans[bold]/[a]/:x:.csv"), "x" * 200, "run=1a input=<folder> \\[b]"])
def test_what_is_said_can_be_copied_from_the_terminal(where):
    said = io.StringIO()
    say(Console(file=said, width=40), "Review", where)
    assert said.getvalue() == f"Review      {where}\n"
