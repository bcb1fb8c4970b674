from pathlib import Path

import pytest
import yaml

from docs.generator.options import CONF, OptionFile, group_page, groups

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(CONF.rglob("*.yaml"))
GROUPS = groups()


def write(tmp_path, text, name="data/some"):
    file = tmp_path / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return OptionFile.read(file, tmp_path)


def leaves(node, prefix=""):
    """Full names of all keys of a file that hold no other keys, or only what a constructor is given in a list."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        elif key not in ("defaults", "_target_", "_partial_"):
            yield f"{prefix}{key}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONF)))
def test_every_key_of_every_option_file_stands_in_the_reference(file):
    group = "" if file.parent == CONF else file.parent.relative_to(CONF).as_posix()
    (page,) = [one for one in GROUPS[group] if one.name == file.stem]
    named = [option.name for option in page.options]
    for key in leaves(yaml.safe_load(file.read_text()) or {}):
        assert any(name == key or name.endswith(f".{key}") or key.startswith(f"{name}.") or _within(name, key)
                   for name in named), f"{key} of {file.name} is not in {named}"  # fmt: skip


def _within(name, key):
    """Whether a key stands inside a value that is written on one line, as ``best`` in ``callbacks: {best: ...}``."""
    parts = key.split(".")
    return any(
        name == ".".join(parts[:end]) or name.endswith("." + ".".join(parts[:end])) for end in range(1, len(parts))
    )


def test_every_option_file_has_a_head_that_says_what_it_is():
    assert [f"{file.group}/{file.name}" for files in GROUPS.values() for file in files if not file.about] == []


def test_every_group_has_a_page_in_the_menu():
    menu = (REPOSITORY / "mkdocs.yml").read_text()
    assert [group for group in GROUPS if group and f"reference/options/{group}.md" not in menu] == []


def test_a_page_names_every_choice_and_key_of_its_group():
    text = group_page("threshold", GROUPS["threshold"], {})
    for file in GROUPS["threshold"]:
        assert f"## {file.name} " in text
        assert all(f"| `{option.name}` | `{option.default}` | {option.comment} |" in text for option in file.options)


def test_a_key_has_its_full_name_its_default_as_written_and_its_comment(tmp_path):
    read = write(
        tmp_path, "# What it is,\n# in two lines.\n_target_: mriad.X\nside: 1.0e-3   # in pixels\nwords: 'a # b'\n"
    )
    assert read.about == "What it is, in two lines."
    assert [(one.name, one.default, one.comment) for one in read.options] == [
        ("data.side", "1.0e-3", "in pixels"), ("data.words", "'a # b'", ""),
    ]  # fmt: skip
    assert read.targets == {"": "mriad.X"}


def test_a_package_is_where_keys_go(tmp_path):
    assert write(tmp_path, "# @package data.split\n# A.\nseed: 0\n").options[0].name == "data.split.seed"
    assert write(tmp_path, "# @package _global_\n# A.\nmodel:\n  beta: 1\n").options[0].name == "model.beta"


def test_comments_above_a_key_and_beside_a_block_are_told(tmp_path):
    read = write(tmp_path, "# A.\na: 1\n# Said first,\n# and then.\nb: 2  # beside\nsteps:  # one by one\n  - {x: 1}\n")
    assert {one.name: one.comment for one in read.options} == {
        "data.a": "", "data.b": "Said first, and then. beside", "data.steps": "one by one",
    }  # fmt: skip
    assert read.options[-1].default == "[{x: 1}]"


def test_what_a_choice_starts_from_and_brings_is_told(tmp_path):
    read = write(tmp_path, "# A.\ndefaults:\n  - base\n  - override /score: brain\n  - _self_\nside: 1\n")
    assert (read.bases, read.brings) == (("base",), ("score=brain",))


def test_the_choices_that_the_guide_lists_are_all_there_are():
    import re

    rows = re.findall(
        r"^\| `(\w+)` \| ((?:`\w+` ?)+)\|", (REPOSITORY / "docs/guides/train.md").read_text(), re.MULTILINE
    )
    assert {"data", "model", "score", "threshold", "augment", "split", "trainer"} <= {group for group, _ in rows}
    for group, choices in rows:
        public = {file.name for file in GROUPS[group] if not file.name.startswith("published_")} - {
            "base",
            "pictures_base",
            "volumes_base",
        }
        assert set(re.findall(r"`(\w+)`", choices)) == public, group
