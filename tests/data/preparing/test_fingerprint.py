import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from mriad.anatomy import head_mask
from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.reading.decode import DecodedImage


def brain(seed: int = 0, *, size: tuple[int, int] = (120, 100), margin: int = 0) -> np.ndarray:
    """(H, W) float32 textured ellipse on black, ``margin`` more black pixels on every side."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=size), 5)
    pixels = np.where((y / 0.9) ** 2 + (x / 0.8) ** 2 < 1, 0.5 + texture / np.abs(texture).max() * 0.4, 0.0)
    return np.pad(pixels, margin).astype(np.float32)


def of(pixels: np.ndarray, **options) -> Fingerprint:
    return Fingerprint.of(DecodedImage(levels=pixels.astype(np.float32), format="PNG", mode="L"), **options)


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_features_are_those_of_the_pixels_as_decoded():
    pixels = np.zeros((4, 5), dtype=np.float32)
    pixels[1, 2], pixels[3, 4], pixels[0, 0] = 0.5, 0.06, 0.04
    found = of(pixels, head=(0, 0, 4, 5))
    assert (found.format, found.mode) == ("PNG", "L")
    assert found.mean == pytest.approx(0.6 / 20)
    assert found.p99 == pytest.approx(np.percentile(pixels, 99))
    assert found.foreground == pytest.approx(2 / 20)
    # the bright pixel has four neighbours, the two in corners have two each
    assert found.gradient_energy == pytest.approx((4 * 0.5**2 + 2 * 0.06**2 + 2 * 0.04**2) / 20, rel=1e-5)


def test_a_scan_of_one_pixel_has_a_fingerprint():
    found = of(np.full((1, 1), 0.3))
    assert found.gradient_energy == 0
    assert len(found.phash) == len(found.phash_head) == 64


def test_hashes_are_256_bits_as_hex_digits():
    found = of(brain())
    for code in (found.phash, found.phash_head):
        assert len(code) == 64
        assert 100 < int(code, 16).bit_count() < 156


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: pixels * 0.6,
        lambda pixels: np.asarray(Image.fromarray(pixels).resize((140, 160), Image.Resampling.BILINEAR)),
        lambda pixels: np.clip(pixels + np.random.default_rng(1).normal(0, 0.02, pixels.shape), 0, 1),
        lambda pixels: pixels / 64,  # 10 bits in a file of 16
    ],
    ids=["darker", "larger", "noisy", "faint"],
)
def test_a_changed_copy_keeps_its_hash_and_another_brain_has_another(change):
    original, copy, other = of(brain()), of(change(brain())), of(brain(1))
    assert distance(original.phash, copy.phash) <= 10
    assert distance(original.phash_head, copy.phash_head) <= 20  # of a small head, whose box may move by a pixel
    assert min(distance(original.phash, other.phash), distance(original.phash_head, other.phash_head)) > 60


def test_only_the_heads_hash_sees_through_a_margin():
    original, padded = of(brain()), of(brain(margin=25))
    assert distance(original.phash, padded.phash) > 20
    assert distance(original.phash_head, padded.phash_head) <= 10


def test_the_head_is_found_where_its_box_is_not_given():
    pixels = brain(margin=20)
    rows, columns = np.nonzero(head_mask(pixels))
    box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    assert of(pixels) == of(pixels, head=box)
    assert of(pixels).phash_head != of(pixels, head=(0, 0, *pixels.shape)).phash_head


def test_a_thumbnail_is_the_whole_scan_stretched_and_not_scaled():
    pixels = np.zeros((32, 64), dtype=np.float32)
    pixels[16:, 32:] = 0.2
    small = thumbnail(pixels)
    assert (small.shape, small.dtype) == ((16, 16), np.uint8)
    assert (small[:7, :] == 0).all() and (small[:, :7] == 0).all()
    assert (small[9:, 9:] == 51).all()


def test_a_thumbnail_averages_what_it_shrinks():
    checkerboard = (np.indices((160, 160)).sum(axis=0) % 2).astype(np.float32)
    assert np.abs(thumbnail(checkerboard).astype(int) - 127).max() <= 3


def test_a_hash_is_the_sign_of_the_lowest_cosine_coefficients_about_their_median():
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64)).astype(np.uint8)
    pixels[0, 0] = 255  # as bright as can be: nothing is scaled
    found = Fingerprint.of(DecodedImage(levels=pixels, format="PNG", mode="L"), head=(0, 0, 64, 64))
    lowest = dctn(pixels.astype(float))[:16, :16]
    assert found.phash == np.packbits(lowest > np.median(lowest)).tobytes().hex()
