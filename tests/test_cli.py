import os
import subprocess
import sys
from pathlib import Path

import pytest

from mriad import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture
def desk(tmp_path):
    """A folder with ``mriad`` on its PATH, and lines typed into bash there."""
    program = tmp_path / "bin" / "mriad"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m mriad \"$@\"\n")
    program.chmod(0o755)
    own = tmp_path / "own" / "model"
    own.mkdir(parents=True)
    pca = (ROOT / "conf" / "model" / "pca.yaml").read_text()
    for name in ("pca", "mine"):
        (own / f"{name}.yaml").write_text(pca.replace("n_components: 64", "n_components: 3"))

    def bash(script):
        environment = {"PYTHONPATH": str(ROOT), "PATH": f"{program.parent}:{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True
        )

    return bash


def test_the_help_names_every_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mriad"])
    cli.main()
    told = capsys.readouterr().out
    names = "train evaluate predict listen review agreement labels audit compare ui resend register export serve"
    for name in names.split():
        assert f"\n  {name} " in told


@pytest.mark.parametrize(("word", "meant"), [("evalaute", "did you mean evaluate?"), ("frobnicate", "no command")])
def test_an_unknown_command_is_told_with_the_nearest(word, meant, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mriad", word])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1
    assert told.startswith("Error: ") and word in told and meant in told


@pytest.mark.slow
def test_a_script_and_the_command_are_one_and_an_overlay_wins(desk):
    options = "--cfg job model=pca data.image_size=32"
    script = desk(f"'{sys.executable}' '{ROOT}/train.py' {options}")
    command = desk(f"mriad train {options}")
    assert script.stdout == command.stdout != ""
    overlaid = desk(f"mriad train {options} --config-dir own")
    assert overlaid.stdout == command.stdout.replace("n_components: 64", "n_components: 3")
    added = desk("mriad train --config-dir own --cfg job model=mine -p model.n_components")
    assert added.stdout == "3\n", added.stderr
    refused = desk("mriad train --config-dir own model=yours")
    assert "mine" in refused.stderr and "vae" in refused.stderr


@pytest.mark.slow
def test_tab_completes_commands_groups_and_options_in_bash(desk):
    lines = ["mriad ev", "mriad train model=va", "mriad evaluate thresh", "mriad train --config-dir own model=mi"]
    asked = "\n".join(
        f"COMP_LINE={line!r} COMP_POINT={len(line)} COMP_CWORD={len(line.split()) - 1}\n"
        f'COMPREPLY=(); hydra_bash_completion; echo "${{COMPREPLY[*]}}"'
        for line in lines
    )
    done = desk(f'eval "$(mriad train --shell-completion install=bash)"\ncomplete -p mriad\n{asked}')
    registered, *found = done.stdout.splitlines()
    assert registered.endswith("-F hydra_bash_completion mriad"), done.stderr
    first, second, third, fourth = map(str.split, found)
    assert first == ["evaluate"]
    assert second == ["model=vae", "model=vae_3d", "model=vae_medianomaly", "model=vae_residual"]
    assert third == ["threshold="]
    assert fourth == ["model=mine"]


@pytest.mark.parametrize(
    ("given", "turns"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_idle_threads_sleep_unless_the_environment_says_otherwise(given, turns, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr("mriad.command.run", lambda *_, **__: seen.append(os.environ.get("GOMP_SPINCOUNT")))
    cli.run_task("train")
    assert seen == [turns]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
@pytest.mark.parametrize(("given", "kept"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False)])
def test_freed_memory_is_kept_unless_the_environment_says_otherwise(given, kept):
    script = """
import numpy as np
import mriad.command
from mriad import cli

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def train(*_, **__):
    before = resident()
    np.ones(2**24)  # 128 MB, freed at once
    print(resident() - before)

mriad.command.run = train
cli.run_task("train")
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=clean | given, capture_output=True, text=True, check=True
    )
    assert (int(done.stdout) > 2**26) == kept
