from __future__ import annotations

import numpy as np
import pytest

from mriad.data.synthetic.contrast import TISSUES, Sequence
from mriad.data.synthetic.fields import SmoothField, smoothstep

LINE = np.linspace(-100, 100, 81, dtype=np.float32)
ZERO = np.zeros(1, dtype=np.float32)


def test_field_has_the_wished_amplitude() -> None:
    field = SmoothField(rng=np.random.default_rng(0), spacing=12, amplitude=2.5)
    assert field.on((LINE, LINE, LINE)).std() == pytest.approx(2.5, rel=0.1)


def test_field_is_the_same_on_a_plane_and_in_the_volume() -> None:
    field = SmoothField(rng=np.random.default_rng(0), spacing=20, amplitude=1, components=3)
    volume = field.on((LINE, LINE[:40], LINE))
    plane = field.on((LINE, LINE[10:11], LINE))
    np.testing.assert_allclose(plane[:, :, 0], volume[:, :, 10], atol=1e-5)


def test_field_is_smooth_at_the_scale_of_its_spacing() -> None:
    field = SmoothField(rng=np.random.default_rng(0), spacing=40, amplitude=1)
    values = field.on((LINE, ZERO, ZERO)).squeeze()
    assert np.abs(np.diff(values)).max() < 0.3  # steps of 2.5 mm


def test_smoothstep_rises_or_falls_between_its_ends() -> None:
    values = np.array([-1, 0, 0.5, 1, 2], dtype=np.float32)
    np.testing.assert_allclose(smoothstep(values, 0, 1), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(values, 1, 0), [1, 1, 0.5, 0, 0])


def signals(sequence: Sequence) -> dict[str, float]:
    return {name: sequence.signal(tissue) for name, tissue in TISSUES.items()}


def test_t1_shows_fat_over_white_over_grey_over_fluid() -> None:
    t1 = signals(Sequence(contrast="T1", tr=9, flip=20))
    assert t1["fat"] > t1["white"] > t1["grey"] > t1["csf"]


def test_t2_shows_fluid_over_grey_over_white() -> None:
    t2 = signals(Sequence(contrast="T2", tr=4500, te=95))
    assert t2["csf"] > t2["grey"] > t2["white"]


def test_flair_shows_grey_over_white_and_no_fluid() -> None:
    flair = signals(Sequence(contrast="FLAIR", tr=9000, te=110, ti=2550))
    assert flair["grey"] > flair["white"] > 5 * flair["csf"]
