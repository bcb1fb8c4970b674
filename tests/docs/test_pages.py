import re
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="griffe is not installed: pip install -e '.[docs]'")

from docs.generator import docstrings, reference
from docs.generator.__main__ import DOCS, REFERENCE, TABLE, write
from docs.generator.options import groups

REPOSITORY = Path(__file__).parents[2]
LINK = re.compile(r"(?<!`)\]\((?!https?://|#|mailto:)([^)#\s]+)")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "docs"
    write(folder)
    return folder


def test_pages_get_what_they_ask_for(written):
    asking = [
        page for page in DOCS.rglob("*.md") if TABLE.search(page.read_text()) or REFERENCE.search(page.read_text())
    ]
    assert len(asking) > 10
    for page in asking:
        text = (written / page.relative_to(DOCS)).read_text()
        assert "[table: " not in text and "<!-- reference: " not in text and "\n| " in text


def test_links_lead_somewhere(written):
    pages = [*written.rglob("*.md")]
    assert len(pages) > 40
    for page in pages:
        for link in LINK.findall(page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(written)} links to {link}"


def test_the_links_of_the_readme_lead_somewhere(written):
    for link in LINK.findall((REPOSITORY / "README.md").read_text()):
        there = REPOSITORY / link
        assert there.exists() or (written / Path(link).relative_to("docs")).exists(), link


def test_every_constructor_of_an_option_file_is_found():
    targets = {target for files in groups().values() for file in files for target in file.targets.values()}
    for target in targets:
        if target.startswith(("mriad.", "hydra_plugins.")):
            assert docstrings.documented(target), target


def test_commands_metrics_and_columns_are_told():
    told = reference.commands(groups()[""])
    for command in ("train.py", "evaluate.py", "predict.py", "-m mriad.audit", "-m mriad.compare", "-m mriad.tracking"):
        assert f"## python {command}" in told
    assert "--markdown" in told and "`make test`" in told and "| `maps` | `false` |" in told
    assert "| `test/pixel_ap` | pixel AP |" in reference.metrics()
    assert "| `spacing` |" in reference.catalog()


def test_the_readme_is_short():
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 180
