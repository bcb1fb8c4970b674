import os
import sys

import pytest

from benchmarks.bench import Bench, composed, private_memory


@pytest.fixture
def bench(tmp_path):
    return Bench(folder=tmp_path)


def test_a_call_in_a_process_of_its_own_gives_what_it_returned(bench):
    assert bench.call("operator:add", 2, 3)[0] == 5
    assert bench.call("os:getpid")[0] != os.getpid()


def test_a_process_works_in_the_scratch_folder_and_keeps_its_slices_there(bench):
    ended = bench.run(["-c", "import os; print(os.getcwd(), os.environ['MRIAD_CACHE_DIR'])"])
    assert ended.out.split() == [str(bench.folder), str(bench.cache)]


def test_a_process_that_ends_otherwise_than_it_should_says_why(bench):
    assert bench.run(["-c", "raise SystemExit(3)"], code=3).out == ""
    with pytest.raises(RuntimeError, match="the reason"):
        bench.run(["-c", "raise SystemExit('the reason')"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory is private")
def test_private_memory_is_measured_at_its_peak(bench):
    program = "import time; held = bytearray(b'x') * 300_000_000; time.sleep(0.5); del held; time.sleep(0.5)"
    ended = bench.run(["-c", program])
    assert 0.3 < ended.private < 0.4
    assert ended.private < ended.peak < 0.4
    assert private_memory(os.getpid()) > 0.01
    assert private_memory(2**30) == 0


def test_the_config_is_that_of_a_command():
    assert composed("train", "model=vae").model._target_ == "mriad.models.CompactVAE"
    assert "hydra" in composed("predict", hydra=True)
