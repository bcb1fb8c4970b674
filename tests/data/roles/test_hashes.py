import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.sparse.csgraph import connected_components

import mriad.data.roles.hashes as hashes
from mriad.data.preparing.fingerprint import Fingerprint
from mriad.data.reading.decode import DecodedImage
from mriad.data.roles.hashes import has_near_duplicate, linkage
from mriad.errors import MriadError

OPTIONS = {"bits": 10, "view": "either", "mirrored": False}


def as_hex(bits: np.ndarray) -> list[str]:
    return [row.tobytes().hex() for row in np.packbits(bits.astype(np.uint8), axis=1)]


def table_of(whole: np.ndarray, head: np.ndarray, patient: object = "") -> pd.DataFrame:
    return pd.DataFrame({"phash": as_hex(whole), "phash_head": as_hex(head), "patient": patient})


def random_bits(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, 256))


def flipped(bits: np.ndarray, count: int) -> np.ndarray:
    """The same hash with its first ``count`` bits turned over."""
    changed = bits.copy()
    changed[:count] ^= 1
    return changed


def clustered(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of both views, each within a few bits of one of few centres of its own."""
    rng = np.random.default_rng(seed)
    views = []
    for _ in range(2):
        bits = random_bits(n // 3, seed=int(rng.integers(1000)))[rng.integers(0, n // 3, n)]
        for row in bits:
            row[rng.choice(256, rng.integers(0, 12), replace=False)] ^= 1
        views.append(bits)
    return views[0], views[1]


@pytest.fixture(params=[2, 1_000_000])
def pending(request, monkeypatch):
    """Edges are merged at once, or when they have gathered."""
    monkeypatch.setattr(hashes, "_PENDING", request.param)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("view", ["whole", "head", "either"])
def test_levels_are_the_components_of_a_brute_force_graph(pending, seed, view):
    n = 40
    whole, head = clustered(n, seed)
    rng = np.random.default_rng(seed)
    patient = rng.choice(["", "", "p", "q"], n)
    levels = linkage(table_of(whole, head, patient), together=("patient",), bits=10, view=view, mirrored=False)
    distances = {
        "whole": (whole[:, None] != whole).sum(axis=2),
        "head": (head[:, None] != head).sum(axis=2),
    }
    distance = np.minimum(*distances.values()) if view == "either" else distances[view]
    named = patient != ""
    same_patient = (patient[:, None] == patient) & named
    for bits in range(11):
        edges = ((distance <= bits) & ~(named[:, None] & named)) | same_patient
        expected = connected_components(edges, directed=False)[1]
        found = levels[bits]
        np.testing.assert_array_equal(found[:, None] == found, expected[:, None] == expected)


def test_ten_bits_are_near_and_eleven_are_not():
    base = random_bits(1)[0]
    of, among = table_of(base[None], base[None]), table_of(flipped(base, 10)[None], random_bits(1, 5))
    assert has_near_duplicate(of, among).tolist() == [True]
    assert has_near_duplicate(of, among, bits=9).tolist() == [False]
    assert has_near_duplicate(of, among, bits=0).tolist() == [False]
    eleven = table_of(flipped(base, 11)[None], random_bits(1, 5))
    assert has_near_duplicate(of, eleven).tolist() == [False]
    assert has_near_duplicate(of, eleven, bits=11).tolist() == [True]


def test_the_view_chooses_what_is_compared():
    base, other = random_bits(1)[0], random_bits(2, 3)
    of = table_of(base[None], other[:1])
    like_whole, like_head = table_of(base[None], other[1:]), table_of(other[1:], other[:1])
    found = {
        view: [bool(has_near_duplicate(of, among, view=view)[0]) for among in (like_whole, like_head)]
        for view in ("whole", "head", "either")
    }
    assert found == {"whole": [True, False], "head": [False, True], "either": [True, True]}


@pytest.mark.parametrize("seed", range(4))
def test_partners_are_those_of_brute_force(seed):
    whole, head = clustered(50, seed)
    patient = np.random.default_rng(seed).choice(["", "p"], 50)
    scans = table_of(whole, head, patient)
    of, among = scans.iloc[:20], scans.iloc[20:]
    near = np.minimum((whole[:20, None] != whole[20:]).sum(axis=2), (head[:20, None] != head[20:]).sum(axis=2)) <= 10
    both_named = (patient[:20, None] != "") & (patient[20:] != "")
    np.testing.assert_array_equal(has_near_duplicate(of, among), (near & ~both_named).any(axis=1))
    unnamed = of.drop(columns="patient"), among.drop(columns="patient")
    np.testing.assert_array_equal(has_near_duplicate(*unnamed), near.any(axis=1))


def test_among_none_there_is_no_partner():
    scans = table_of(random_bits(3), random_bits(3, 1))
    assert has_near_duplicate(scans, scans.iloc[:0]).tolist() == [False] * 3
    assert has_near_duplicate(scans.iloc[:0], scans).tolist() == []


def test_scans_without_hash_are_like_no_other():
    scans = table_of(random_bits(3), random_bits(3, 1))
    scans.loc[:1, ["phash", "phash_head"]] = None
    assert has_near_duplicate(scans, scans).tolist() == [False, False, True]
    assert len(set(linkage(scans, together=(), **OPTIONS)[-1])) == 3


def test_keys_join_scans_at_every_distance_but_the_empty_one_does_not():
    scans = table_of(random_bits(5), random_bits(5, 1)).assign(content=["a", "", "b", "a", ""])
    for labels in linkage(scans, together=("content",), **OPTIONS):
        assert labels[0] == labels[3]
        assert len(set(labels)) == 4


def picture(seed: int) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(90, 80)), 6)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def test_a_flipped_copy_is_found_unless_it_shall_not_be():
    prints = [
        Fingerprint.of(DecodedImage(levels=pixels, format="PNG", mode="L"), head=(0, 0, 90, 80)).as_record()
        for seed in range(8)
        for pixels in (picture(seed), np.ascontiguousarray(picture(seed)[:, ::-1]))
    ]
    scans = pd.DataFrame(prints)
    originals, flips = scans.iloc[::2], scans.iloc[1::2]
    assert not has_near_duplicate(originals, flips, bits=16, mirrored=False).any()
    assert has_near_duplicate(originals, flips, bits=16).all()
    assert not has_near_duplicate(originals, flips.iloc[:0]).any()
    labels = linkage(scans, together=(), bits=16, view="either", mirrored=True)[-1]
    assert (labels[::2] == labels[1::2]).all()
    assert len(set(labels)) == 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"view": "feet"}, r"data\.split\.view=feet.*either, whole or head"),
        ({"bits": -1}, r"data\.split\.bits=-1"),
        ({"bits": 200}, r"data\.split\.bits=200"),
        ({"bits": 2.5}, r"data\.split\.bits=2\.5"),
    ],
)
def test_bad_options_are_told(options, words):
    scans = table_of(random_bits(2), random_bits(2))
    with pytest.raises(MriadError, match=words):
        has_near_duplicate(scans, scans, **options)


def test_missing_hashes_are_told():
    scans = table_of(random_bits(2), random_bits(2)).drop(columns="phash_head")
    with pytest.raises(MriadError, match="phash_head"):
        has_near_duplicate(scans, scans)
    assert has_near_duplicate(scans, scans, view="whole").all()


def test_many_scans_of_one_hash_are_found_with_patients_and_without():
    same, other = random_bits(2, 9)
    bits = np.stack([same] * 6 + [flipped(same, 4), other])
    scans = table_of(bits, bits, ["", "", "", "p", "q", "", "", ""])
    labels = linkage(scans, together=(), **OPTIONS)
    assert len(set(labels[0][:6])) == 1 and labels[0][6] != labels[0][0]
    assert len(set(labels[4][:7])) == 1 and labels[4][7] != labels[4][0]
    assert has_near_duplicate(scans, scans.iloc[3:4]).tolist() == [True, True, True, False, False, True, True, False]
    assert has_near_duplicate(scans, scans.iloc[6:]).tolist() == [True] * 8
