import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from mriad.scoring.residuals import (
    RESIDUALS,
    absolute_error,
    gaussian_blur,
    squared_error,
    ssim_map,
    structural_dissimilarity,
)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 24, 20, generator=generator)
    return x, (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def ssim_by_hand(a, b):
    """Wang et al. 2004 with a uniform 11x11 window and population moments; mirrored without repeating the edge."""
    a, b = np.float64(a), np.float64(b)

    def mean(image):
        return uniform_filter(image, 11, mode="mirror")

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))


def test_squared_and_absolute_error_are_taken_pixel_by_pixel():
    x = torch.tensor([[[[0.0, 1.0], [0.25, 0.5]]]])
    reconstruction = torch.tensor([[[[0.5, 0.0], [0.25, 0.75]]]])
    assert squared_error(x, reconstruction).tolist() == [[[[0.25, 1.0], [0.0, 0.0625]]]]
    assert absolute_error(x, reconstruction).tolist() == [[[[0.5, 1.0], [0.0, 0.25]]]]


def test_ssim_is_that_of_the_paper_up_to_the_border(pair):
    x, reconstruction = pair
    found = ssim_map(x, reconstruction)
    assert found.shape == x.shape
    for index in range(len(x)):
        expected = ssim_by_hand(x[index, 0].numpy(), reconstruction[index, 0].numpy())
        np.testing.assert_allclose(found[index, 0].numpy(), expected, atol=2e-4)


def test_a_changed_pixel_changes_ssim_inside_its_window_only():
    x = torch.full((1, 1, 32, 32), 0.5)
    reconstruction = x.clone()
    reconstruction[0, 0, 16, 16] = 1.0
    strange = structural_dissimilarity(x, reconstruction)[0, 0] > 0.01
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[11:22, 11:22] = True
    assert torch.equal(strange, expected)


def test_dissimilarity_stays_between_0_and_2():
    x = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(1)).round()
    worst = structural_dissimilarity(x, 1 - x)
    assert worst.min() >= 0
    assert 1.5 < worst.max() <= 2


def test_ssim_is_as_exact_under_bf16_autocast_as_without(pair):
    plain = ssim_map(*pair)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = ssim_map(*pair)
    assert autocast.dtype == torch.float32
    torch.testing.assert_close(autocast, plain)


@pytest.mark.parametrize("name", RESIDUALS)
def test_a_perfect_reconstruction_has_no_residual(name, pair):
    x, _ = pair
    torch.testing.assert_close(RESIDUALS[name](x, x), torch.zeros_like(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", RESIDUALS)
def test_a_residual_keeps_the_shape_and_knows_no_batch_mates(name, pair):
    x, reconstruction = pair
    together = RESIDUALS[name](x, reconstruction)
    assert together.shape == x.shape
    for index in range(len(x)):
        one = slice(index, index + 1)
        torch.testing.assert_close(RESIDUALS[name](x[one], reconstruction[one]), together[one])


@pytest.mark.parametrize("sigma", [0.5, 2.0, 6.0])
def test_a_gaussian_blur_keeps_a_constant_image_up_to_the_border(sigma):
    x = torch.full((2, 1, 9, 7), 0.3)
    torch.testing.assert_close(gaussian_blur(x, sigma), x)


def test_a_gaussian_blur_is_that_of_scipy():
    x = torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    expected = gaussian_filter(x[0, 0].double().numpy(), 2.0, mode="nearest", truncate=3.0)
    torch.testing.assert_close(gaussian_blur(x, 2.0)[0, 0].double(), torch.from_numpy(expected), atol=1e-6, rtol=0)
