import logging
from importlib import metadata
from importlib.util import find_spec
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from heads import head, write_volumes

from mriad.data.catalog import Catalog
from mriad.data.preparing import brain_extraction
from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.volumes import PrepareVolume
from mriad.errors import MriadError
from mriad.geometry import reorient

SMALL = {"image_size": 48, "depth": 40, "spacing": 5.0}
needs_deepbet = pytest.mark.skipif(
    any(find_spec(name) is None for name in brain_extraction._PARTS), reason="deepbet is not installed"
)


class Network:
    """Takes every voxel within 60 mm of the middle of the head for brain, as deepbet answers."""

    def __init__(self):
        self.seen = []

    def run(self, image):
        self.seen.append(image.shape)
        if not np.ptp(image.get_fdata()):
            raise ValueError("attempt to get argmax of an empty sequence")
        places = nibabel.affines.apply_affine(image.affine, np.moveaxis(np.indices(image.shape), 0, -1))
        near = np.linalg.norm(places - (-20, 20, 80), axis=-1) < 60
        return None, nibabel.Nifti1Image(near.astype(np.uint8), image.affine), 0


@pytest.fixture
def network(monkeypatch):
    """The network's stand-in."""
    network = Network()
    monkeypatch.setattr(brain_extraction, "_network", lambda: network)
    monkeypatch.setattr(brain_extraction, "version", lambda: "deepbet 1.0.2")
    return network


def test_what_is_missing_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(brain_extraction, "find_spec", lambda name: None if name == "deepbet" else name)
    with pytest.raises(MriadError, match=r"strip=deepbet needs deepbet, which is not .* pip install --no-deps deepbet"):
        PrepareVolume(**SMALL, strip="deepbet")
    monkeypatch.setattr(brain_extraction, "find_spec", lambda name: None)
    with pytest.raises(MriadError, match="needs deepbet and fill_voids and tqdm, which are not installed"):
        PrepareVolume(**SMALL, strip="deepbet")
    assert PrepareVolume(**SMALL, strip="mask").libraries == ()


def test_the_version_is_the_installed_one(monkeypatch):
    monkeypatch.setattr(brain_extraction, "find_spec", lambda name: name)
    monkeypatch.setattr(metadata, "version", lambda name: {"deepbet": "7.1"}[name])
    assert PrepareVolume(**SMALL, strip="deepbet").libraries == ("deepbet 7.1",)


@pytest.mark.parametrize("codes", ["SPL", "LPS", "RAS"])
def test_what_lies_outside_of_the_brain_becomes_dark_whatever_the_order_of_axes(network, codes):
    scan = head(codes=codes)
    image, geometry = PrepareVolume(**SMALL, strip="deepbet")(scan)
    expected, _ = PrepareVolume(**SMALL, strip="deepbet")(head())
    np.testing.assert_array_equal(image, expected)
    assert geometry.stripped
    kept, _ = PrepareVolume(**SMALL)(scan)
    assert 0 < (image > 0).sum() < 0.5 * (kept > 0).sum()


def test_the_mask_lies_on_the_scan(network):
    scan = head(codes="PSR", tilt=8)
    brain = brain_extraction.extracted_brain(scan.levels, scan.grid)
    assert brain.shape == scan.levels.shape
    assert scan.grid.to_world(np.argwhere(brain).mean(axis=0)) == pytest.approx((-20, 20, 80), abs=2)


def test_a_stripped_scan_stays_as_it_is(network):
    image, _ = PrepareVolume(**SMALL, strip="deepbet")(head(stripped=True))
    np.testing.assert_array_equal(image, PrepareVolume(**SMALL)(head(stripped=True))[0])
    assert network.seen == []


def test_masks_that_come_along_are_left_alone(network):
    preparation = PrepareVolume(**SMALL, strip="deepbet")
    assert not preparation.wants_brain
    found, _ = preparation(head(), brain=np.ones(head().levels.shape, dtype=bool))
    np.testing.assert_array_equal(found, preparation(head())[0])


def test_a_scan_without_a_brain_is_refused(network, monkeypatch):
    scan = head()
    with pytest.raises(MriadError, match="deepbet finds no brain in it"):
        brain_extraction.extracted_brain(np.zeros_like(scan.levels), scan.grid)
    empty = nibabel.Nifti1Image(np.zeros(scan.levels.shape, dtype=np.uint8), scan.grid.affine)
    monkeypatch.setattr(network, "run", lambda image: (None, empty, 0))
    with pytest.raises(MriadError, match="deepbet finds no brain in it"):
        brain_extraction.extracted_brain(scan.levels, scan.grid)


def test_a_brain_is_looked_for_once_and_anew_with_another_version(network, monkeypatch, tmp_path):
    root = write_volumes(tmp_path / "scans", healthy=2, anomalous=0)
    records = [{"path": f"healthy/sub-0{number}.nii.gz", "label": 0} for number in range(2)]
    catalog = Catalog.from_records(records, root=root).with_content()
    preparation = PrepareVolume(**SMALL, strip="deepbet")
    caches = [ScanCache.open(catalog, preparation, folder=tmp_path / "cache") for _ in range(2)]
    assert len(network.seen) == 2
    np.testing.assert_array_equal(caches[0].images[:], caches[1].images[:])
    assert caches[0].facts["stripped"].all()
    monkeypatch.setattr(brain_extraction, "version", lambda: "deepbet 2.0")
    ScanCache.open(catalog, preparation, folder=tmp_path / "cache")
    assert len(network.seen) == 4


def test_other_contrasts_than_those_of_its_training_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        brain_extraction.warn_of_contrasts(["T1", "", "T1c"])
        assert caplog.text == ""
        brain_extraction.warn_of_contrasts(["T1", "FLAIR", "T2", "FLAIR"])
    assert "in T1-weighted scans, and 3 of 4 are others (FLAIR, T2)" in caplog.text


def test_the_network_is_loaded_when_the_first_brain_is_looked_for(monkeypatch):
    made = []
    library = SimpleNamespace(BrainExtraction=lambda **options: made.append(options) or "network")
    monkeypatch.setitem(__import__("sys").modules, "deepbet", library)
    brain_extraction._network.cache_clear()
    assert (brain_extraction._network(), brain_extraction._network()) == ("network", "network")
    assert made == [{"no_gpu": True}]
    brain_extraction._network.cache_clear()


@needs_deepbet
@pytest.mark.slow
def test_deepbet_finds_the_brain_of_a_synthetic_head():
    from mriad.data.reading.scan import Facts, Scan
    from mriad.data.synthetic.atlas import load_atlas
    from mriad.data.synthetic.heads import Person
    from mriad.geometry import Grid

    person = Person(rng=np.random.default_rng(1), atlas=load_atlas(), contrast="T1").head(kind=None, spacing=2.0)
    scan = Scan(
        levels=person.levels,
        grid=Grid(shape=person.levels.shape, affine=person.affine),
        facts=Facts(format="NIfTI-1"),
    )
    turned = scan.grid.reoriented("PSR")
    levels = np.ascontiguousarray(reorient(scan.levels, scan.grid, "PSR"), dtype=np.float32)
    found = reorient(brain_extraction.extracted_brain(levels, turned), turned, scan.grid.orientation)
    assert 2 * (found & person.brain).sum() / (found.sum() + person.brain.sum()) > 0.95
    image, geometry = PrepareVolume(strip="deepbet")(scan)
    assert geometry.stripped
    assert 0.1 < (image > 0).mean() < 0.35
