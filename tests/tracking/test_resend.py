import subprocess
import sys

import pytest

from mriad.errors import MriadError
from mriad.tracking.resend import resend


def test_a_folder_without_a_spool_has_nothing_to_send(tmp_path, capsys):
    resend(tmp_path)
    assert capsys.readouterr().out == f"There is nothing to send in {tmp_path}.\n"


def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path):
    with pytest.raises(MriadError, match=r"There is no folder .*/nowhere; give the output folder"):
        resend(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["resend", "nowhere"], "Error: There is no folder nowhere; give the output folder of a run, or of a whole"),
        (["resend"], "Error: The following arguments are required: FOLDER; --help lists the options."),
    ],
)
def test_the_command_ends_with_a_sentence(words, sentence, tmp_path):
    command = [sys.executable, "-m", "mriad.tracking", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence) and len(done.stderr.splitlines()) == 1
