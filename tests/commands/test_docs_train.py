"""The lines of the guides that train, and of the pages that explain and show results; see ``typed``."""

from __future__ import annotations

import pytest

from .typed import Desk, check, typed_on

pytestmark = pytest.mark.slow

NAME = "train"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk.laid(NAME, tmp_path_factory)


@pytest.mark.parametrize("line", typed_on(NAME))
def test_a_line_does_what_its_page_says(desk: Desk, line: str) -> None:
    check(desk.done[line])
