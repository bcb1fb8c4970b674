import numpy as np
import pytest
import torch

from mriad.data.training.anomalies import Anomalies, Blob, ForeignPatch
from mriad.errors import MriadError

SIDE = 16


class Paint:
    """Paints one pixel of the brain white, or puts the donor's first pixel there."""

    def __init__(self, column, *, donors=False, share=1.0):
        self.column, self.donors, self.share = column, donors, share

    def __call__(self, scan, *, donor, brain, rng):
        scan, share = scan.copy(), np.zeros_like(scan)
        scan[0, self.column] = donor[5, 5] if self.donors else 1.0
        share[0, self.column] = self.share
        return scan, share


def anomalies(*columns, **options):
    return Anomalies(generators={f"column{column}": Paint(column) for column in columns}, **options)


def batch(count=8):
    """Scan n is of grey n + 1."""
    images = np.repeat(np.arange(1, count + 1, dtype=np.uint8), SIDE * SIDE).reshape(count, SIDE, SIDE)
    return images, np.ones(images.shape, dtype=bool)


def run(anomalies, count=8, *, seed=0):
    torch.manual_seed(seed)
    return anomalies(*batch(count))


def test_masks_lie_where_the_anomalies_are_and_nothing_else_changes():
    images, masks = run(anomalies(3, untouched=0.0, several=0.0))
    assert images.dtype == np.uint8 and masks.dtype == bool
    assert masks[:, 0, 3].all() and masks.sum() == 8
    assert (images[masks] == 255).all()
    np.testing.assert_array_equal(images[~masks], batch()[0][~masks])


@pytest.mark.parametrize(("share", "masked"), [(0.4, False), (0.6, True)])
def test_a_pixel_is_masked_where_more_than_half_of_it_is_anomalous(share, masked):
    given = Anomalies(generators={"faint": Paint(2, share=share)}, untouched=0.0)
    assert run(given)[1].any() == masked


def test_the_scans_that_are_given_are_left_as_they_were():
    images, brains = batch()
    images.setflags(write=False)
    brains.setflags(write=False)
    altered, _ = anomalies(3, untouched=0.0)(images, brains)
    assert (altered != images).any()
    np.testing.assert_array_equal(images, batch()[0])


def test_a_scan_without_an_anomaly_keeps_every_grey_value():
    images = np.arange(256, dtype=np.uint8).repeat(2).reshape(2, 16, 16)
    altered, masks = Anomalies(generators={"faint": Paint(2, share=0.0)}, untouched=0.0)(images, images > 0)
    np.testing.assert_array_equal(altered[:, 1:], images[:, 1:])
    assert not masks.any()


@pytest.mark.parametrize("untouched", [0.0, 0.25, 0.9])
def test_a_share_of_the_scans_stays_healthy(untouched):
    images, masks = run(anomalies(3, untouched=untouched), count=200)
    touched = masks.any(axis=(1, 2))
    assert 1 - touched.mean() == pytest.approx(untouched, abs=0.08)
    np.testing.assert_array_equal(images[~touched], batch(200)[0][~touched])


def test_weights_say_how_often_each_is_drawn():
    given = anomalies(1, 2, 3, weights={"column2": 2, "column3": 0}, untouched=0.0, several=0.0)
    counts = run(given, count=200)[1][:, 0].sum(axis=0)
    assert counts[1] + counts[2] == 200
    assert counts[2] / counts[1] == pytest.approx(2, rel=0.4)
    assert counts[3] == 0


@pytest.mark.parametrize("several", [0.0, 0.5])
def test_after_each_anomaly_another_may_come(several):
    """With many kinds, of which none hides another, a scan's number of anomalies is geometric."""
    masks = run(anomalies(*range(16), untouched=0.0, several=several), count=200)[1]
    assert masks.sum(axis=(1, 2)).mean() == pytest.approx(1 / (1 - several), rel=0.15)


def test_donors_are_other_scans_of_the_batch():
    given = Anomalies(generators={"donor": Paint(0, donors=True)}, untouched=0.0, several=0.0)
    for seed in range(20):
        images, _ = run(given, count=4, seed=seed)
        assert (images[:, 0, 0] != images[:, 5, 5]).all()
        assert sorted(images[:, 0, 0]) == [1, 2, 3, 4]


@pytest.mark.parametrize("poisson", [False, True])
def test_a_scan_alone_in_its_batch_is_its_own_donor(poisson):
    given = Anomalies(generators={"patch": ForeignPatch(poisson=poisson)}, untouched=0.0)
    images, masks = run(given, count=1)
    assert images.shape == masks.shape == (1, SIDE, SIDE)


def test_a_batch_without_scans_stays_one():
    images, masks = anomalies(3)(*(image[:0] for image in batch()))
    assert images.shape == masks.shape == (0, SIDE, SIDE)


def test_torchs_seed_alone_decides():
    given = Anomalies(generators={"blob": Blob(), "patch": ForeignPatch()})
    first = run(given, seed=5)
    np.random.seed(1)
    again, other = run(given, seed=5), run(given, seed=6)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


def test_batches_of_one_run_differ():
    given = anomalies(*range(16))
    torch.manual_seed(0)
    assert (given(*batch())[1] != given(*batch())[1]).any()


@pytest.mark.parametrize("count", [0, 1, 9])
def test_torchs_generator_moves_by_one_draw_whatever_the_batch(count):
    run(anomalies(3, several=0.5), count=count)
    after = torch.rand(())
    torch.manual_seed(0)
    torch.randint(2**31, ())
    assert after == torch.rand(())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": {"rings": 1}}, "data.anomalies.weights names rings"),
        ({"weights": {"column1": 0, "column2": 0}}, "no generator with a weight above 0"),
        ({"weights": {"column1": -1}}, "no generator with a weight above 0"),
        ({"untouched": 1.0}, "data.anomalies.untouched=1.0 is no share"),
        ({"untouched": -0.1}, "data.anomalies.untouched=-0.1 is no share"),
        ({"several": 1.0}, "data.anomalies.several=1.0 is no share"),
    ],
)
def test_what_makes_no_sense_is_told(options, words):
    with pytest.raises(MriadError, match=words):
        anomalies(1, 2, **options)


def test_without_a_generator_there_is_nothing_to_put_in():
    with pytest.raises(MriadError, match="give at least one"):
        Anomalies(generators={})


def test_examples_show_each_kind_in_every_scan():
    given = anomalies(1, 4, untouched=0.9, several=0.9)
    examples = given.examples(*batch())
    assert list(examples) == ["column1", "column4"]
    for column, (images, masks) in zip((1, 4), examples.values(), strict=True):
        assert images.dtype == np.uint8 and masks.dtype == bool
        assert masks[:, 0, column].all() and masks.sum() == 8
        np.testing.assert_array_equal(images[~masks], batch()[0][~masks])


def test_examples_leave_out_what_is_never_drawn():
    assert list(anomalies(1, 4, weights={"column1": 0}).examples(*batch())) == ["column4"]


def test_examples_repeat_themselves_and_leave_torch_alone():
    given = Anomalies(generators={"blob": Blob(), "patch": ForeignPatch()})
    torch.manual_seed(0)
    first, again, other = (given.examples(*batch(), seed=seed) for seed in (0, 0, 1))
    after = torch.rand(())
    torch.manual_seed(0)
    assert after == torch.rand(())
    for name in ("blob", "patch"):
        np.testing.assert_array_equal(first[name][0], again[name][0])
    assert (first["blob"][0] != other["blob"][0]).any()


def test_examples_of_one_scan_are_at_the_same_place_in_each_kind():
    kinds = {"dark": Blob(diameter=(0.2, 0.2)), "textured": Blob(diameter=(0.2, 0.2), texture=0.3)}
    examples = Anomalies(generators=kinds).examples(*batch())
    np.testing.assert_array_equal(examples["dark"][1], examples["textured"][1])


def test_a_blob_in_a_slab_continues_in_neighbours_and_the_mask_is_that_of_the_middle():
    images = np.full((40, 3, 32, 32), 100, dtype=np.uint8)
    brains = np.zeros((40, 32, 32), dtype=bool)
    brains[:, 6:26, 6:26] = True
    given = Anomalies(generators={"blob": Blob(opacity=(1.0, 1.0))}, untouched=0.25)
    torch.manual_seed(0)
    altered, masks = given(images, brains)
    assert altered.shape == images.shape and masks.shape == brains.shape
    touched = masks.any(axis=(1, 2))
    assert 0 < touched.sum() < 40
    changed = altered != images
    assert changed[:, 1][masks].all()
    assert not changed[~changed[:, 1].any(axis=(1, 2))].any()
    neighbours = changed[touched][:, [0, 2]].any(axis=(2, 3))
    assert 0.3 < neighbours.mean() < 1
    examples, outlines = given.examples(images, brains)["blob"]
    assert examples.shape == images.shape and outlines.shape == brains.shape
