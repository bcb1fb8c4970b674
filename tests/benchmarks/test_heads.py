import numpy as np

from benchmarks.heads import head, write
from mriad.anatomy import head_mask
from mriad.data.preparing.fingerprint import Fingerprint
from mriad.data.reading.decode import decode


def test_a_head_is_found_in_dark_air():
    pixels = head(0, size=128).astype(np.float32) / 255
    mask = head_mask(pixels)
    assert 0.2 < mask.mean() < 0.8
    assert pixels[~mask].mean() < 0.1 < pixels[mask].mean()


def test_a_lesion_is_bright_and_changes_nothing_else():
    healthy, sick = (head(3, size=128, lesion=lesion) for lesion in (False, True))
    changed = healthy != sick
    assert 0.001 < changed.mean() < 0.05
    assert set(sick[changed]) == {245}


def test_the_files_are_no_near_duplicates(tmp_path):
    root = write(tmp_path / "heads", healthy=6, anomalous=2, size=64)
    files = sorted(root.rglob("*.jpg"))
    assert [file.parent.name for file in files] == ["healthy"] * 6 + ["tumour"] * 2
    hashes = [int(Fingerprint.of(decode(file)).phash, 16) for file in files]
    assert min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]) > 20


def test_files_that_are_there_are_not_written_again(tmp_path):
    root = write(tmp_path / "heads", healthy=1, anomalous=1, size=32)
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*.jpg")}
    assert write(root, healthy=5, anomalous=5, size=32) == root
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*.jpg")} == before
