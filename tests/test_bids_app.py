"""mriad as a BIDS app: the command line that those type who run fMRIPrep."""

import json
import os
import subprocess
import sys
from pathlib import Path

import made
import nibabel
import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from whole_heads import save

import mriad
from mriad import cli
from mriad.bids_app import _quoted

ROOT = Path(__file__).parents[1]


@pytest.fixture
def data(tmp_path):
    """A data set of two participants, the second with two sessions."""
    root = tmp_path / "bids data"
    save(root / "sub-01" / "anat" / "sub-01_T1w.nii.gz", 1)
    for session in ("a", "b"):
        save(root / "sub-02" / f"ses-{session}" / "anat" / f"sub-02_ses-{session}_T1w.nii.gz", 2, lesion=True)
    (root / "dataset_description.json").write_text('{"Name": "Two", "BIDSVersion": "1.10.0"}')
    return root


@pytest.fixture
def checkpoint(tmp_path):
    return made.checkpoint(
        tmp_path / "best.ckpt", *made.VOLUMES, "model=intensity", "score=mse_foreground", pixel_threshold=0.7
    )


def typed(*words, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [str(word) for word in words]
    return subprocess.run(
        [sys.executable, "-m", "mriad", *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("name", ["/a b", '/a"b', "/a\\b", '/a\\"b', "/a\\", "/a\\\\"])
def test_a_folder_reaches_hydra_by_its_name(name):
    assert OverridesParser.create().parse_override(f"input={_quoted(name)}").value() == name


@pytest.mark.slow
def test_derivatives_lie_where_bids_has_them_and_jobs_share_a_folder(data, checkpoint, tmp_path):
    here = tmp_path / "cwd"
    here.mkdir()
    output = tmp_path / "out"
    detector = ("--checkpoint", checkpoint, "--device", "cpu")
    first = typed(data, output, "participant", "--participant-label", "01", *detector, "-w", "work", cwd=here)
    assert first.returncode == 0, first.stderr
    table = pd.read_csv(output / "predictions.csv")
    assert list(table["path"]) == [str(data / "sub-01/anat/sub-01_T1w.nii.gz")]
    second = typed(
        data, output, "participant", "--participant_label", "sub-02", "--session-label", "b", "a", *detector,
        "--skip-bids-validation", "--nthreads", "1", cwd=here,
    )  # fmt: skip
    assert second.returncode == 0, second.stderr
    table = pd.read_csv(output / "predictions.csv", keep_default_na=False)
    assert [Path(path).name for path in table["path"]] == [
        "sub-01_T1w.nii.gz", "sub-02_ses-a_T1w.nii.gz", "sub-02_ses-b_T1w.nii.gz",
    ]  # fmt: skip
    assert set(table["error"]) == {""}
    expected = mriad.load(checkpoint, device="cpu")(table["path"][1])
    assert table["score"][1] == expected.score
    lesions = pd.read_csv(output / "lesions.csv")
    assert (lesions["path"] == table["path"][1]).sum() == len(expected.lesions) > 0
    name = "sub-02/ses-a/anat/sub-02_ses-a_space-T1w_label-L_desc-mriad"
    mask = nibabel.load(output / f"{name}_mask.nii.gz")
    assert np.asarray(mask.dataobj).sum() == np.asarray(expected.mask.dataobj).sum()
    assert json.loads((output / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    assert (output / ".bidsignore").read_text() == "logs/\n*.csv\n"
    assert list(here.iterdir()) == []
    again = typed(data, output, "participant", "--participant-label", "01", *detector, cwd=here)
    assert again.returncode == 0 and len(pd.read_csv(output / "predictions.csv")) == 3


@pytest.mark.slow
def test_a_participant_who_is_not_there_is_told(data, checkpoint, tmp_path):
    told = typed(
        data, tmp_path / "out", "participant", "--participant-label", "07", "--checkpoint", checkpoint, cwd=tmp_path
    )
    assert told.returncode == 1
    assert "There is no scan of sub-07" in told.stderr and "there are sub-01, sub-02" in told.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("{data}", "out", "group"), "mriad has no group level"),
        (("nowhere", "out", "participant"), "There is no folder"),
        (("{data}", "{data}", "participant"), "is the data set itself"),
        (("{bare}", "out", "participant"), "has no dataset_description.json"),
        (("{data}", "out", "participant", "--participant-lable", "1"), "perhaps --participant-label was meant"),
        (("{data}", "out", "participant", "--run", "a", "--checkpoint", "b"), "not allowed with argument"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, data, tmp_path, monkeypatch, capsys):
    (tmp_path / "bare").mkdir()
    words = [word.format(data=data, bare=tmp_path / "bare") for word in words]
    monkeypatch.setattr(sys, "argv", ["mriad", *words])
    monkeypatch.setattr(cli, "run_task", lambda name: pytest.fail("it must not begin"))
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1 and sentence in told and len(told.strip().splitlines()) == 1


def test_options_of_the_app_become_those_of_predict(data, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "run_task", lambda name: seen.append((name, sys.argv[1:])))
    words = ["--participant-label", "01", "sub-02", "--run", "models:/m@best", "--contrast", "T1w"]
    monkeypatch.setattr(sys, "argv", ["mriad", str(data), str(tmp_path / "o"), "participant", *words])
    (tmp_path / "o" / "logs").mkdir(parents=True)
    cli.main()
    ((name, options),) = seen
    assert name == "predict"
    assert {f'input="{data}"', 'participants=["01","sub-02"]', 'run="models:/m@best"', "maps=true"} <= set(options)


def test_the_version_and_the_help_of_the_app(data, monkeypatch, capsys):
    for word, told in (("--version", f"mriad {mriad.__version__}"), ("--help", "--participant-label")):
        monkeypatch.setattr(sys, "argv", ["mriad", str(data), "out", "participant", word])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0 and told in capsys.readouterr().out
