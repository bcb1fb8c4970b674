"""The Python of the guide runs as it stands there, from top to bottom, where the scans lie that it names."""

import re
from pathlib import Path

import made
import nibabel
from whole_heads import save

import mriad

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "python.md"


def test_the_guide_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made.checkpoint(tmp_path / "best.ckpt", *made.VOLUMES, "model=intensity", "score=mse_foreground")
    save(tmp_path / "scans" / "patient.nii.gz", lesion=True)
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    said = {}
    exec(blocks[0], said)
    assert isinstance(said["result"], mriad.Result)
    assert nibabel.load("map.nii.gz").shape == nibabel.load("scans/patient.nii.gz").shape
    exec(blocks[1], said)
    assert len({round(result.score, 6) for result in said["results"]}) == 1
    exec(blocks[2], said)
    assert "missing.nii.gz does not exist" in capsys.readouterr().out
