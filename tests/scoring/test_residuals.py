import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter
from skimage.exposure import equalize_hist

from mriad.scoring.residuals import (
    RESIDUALS,
    absolute_error,
    equalize,
    gaussian_blur,
    gradient_error,
    negative_error,
    positive_error,
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


def test_what_is_brighter_and_what_is_darker_than_healthy_are_told_apart():
    x = torch.tensor([[[[0.0, 1.0], [0.25, 0.75]]]])
    reconstruction = torch.tensor([[[[0.5, 0.0], [0.25, 0.5]]]])
    assert positive_error(x, reconstruction).tolist() == [[[[0.0, 1.0], [0.0, 0.25]]]]
    assert negative_error(x, reconstruction).tolist() == [[[[0.5, 0.0], [0.0, 0.0]]]]


def test_brighter_and_darker_make_up_the_absolute_error(pair):
    assert torch.equal(positive_error(*pair) + negative_error(*pair), absolute_error(*pair))


def test_the_gradient_residual_compares_central_differences(pair):
    x, reconstruction = pair
    inside = [np.stack(np.gradient(image[0].numpy()))[:, 1:-1, 1:-1] for image in (x[1], reconstruction[1])]
    expected = np.abs(inside[0] - inside[1]).sum(axis=0)
    np.testing.assert_allclose(gradient_error(x, reconstruction)[1, 0, 1:-1, 1:-1].numpy(), expected, atol=1e-6)


def test_the_gradient_residual_knows_outlines_and_no_brightness():
    x, reconstruction = torch.full((1, 1, 12, 12), 0.2), torch.full((1, 1, 12, 12), 0.7)
    assert gradient_error(x, reconstruction).max() == 0
    x[..., 3:9, 3:9] = 1.0
    outline = gradient_error(x, reconstruction)[0, 0]
    assert outline[5:7, 5:7].max() == outline[0].max() == 0
    assert outline[5, 3] == outline[3, 5] == pytest.approx(0.4)


def test_the_largest_gradient_residual_is_2():
    board = (torch.arange(8)[:, None] // 2 + torch.arange(8) // 2).remainder(2).float().view(1, 1, 8, 8)
    assert gradient_error(board, 1 - board).max() == 2


def eight_bit(seed, shape=(2, 1, 20, 24)):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)) / 255


def test_equalising_is_that_of_scikit_image_over_the_foreground():
    x = eight_bit(0).square().mul(255).round() / 255
    for scan, found in zip(x, equalize(x, x, 0.05), strict=True):
        image = scan[0].numpy()
        levels = equalize_hist(np.round(image * 255).astype(np.uint8), mask=image > 0.05)
        np.testing.assert_allclose(found[0][scan[0] > 0.05], levels[image > 0.05], atol=1e-5)
        assert found[0][scan[0] <= 0.05].max() == 0


def test_the_foreground_is_spread_evenly():
    x = eight_bit(0, (1, 1, 200, 200)).pow(4).mul(255).round() / 255
    x[..., :100] = 0.0
    found = equalize(x, x, 0.2)[x > 0.2]
    counts = torch.histc(found, bins=4, min=0, max=1)
    assert (counts / counts.sum() - 0.25).abs().max() < 0.03


def test_a_reconstruction_is_equalised_by_the_histogram_of_its_scan():
    x = eight_bit(0)
    brighter = (x + 0.2).clamp(max=1)
    found = equalize(brighter, x, 0.05)
    pairs = zip(brighter[0, 0].flatten().tolist(), found[0, 0].flatten().tolist(), strict=True)
    share = (x[0] > 0.05).float()
    for value, level in list(pairs)[::37]:
        expected = ((x[0] <= value + 1e-4) * share).sum() / share.sum()
        assert level == pytest.approx(expected.item(), abs=2e-3)


def test_equalising_undoes_a_change_of_contrast():
    x = eight_bit(0).clamp(0.2, 0.8).mul(255).round() / 255
    pale = (0.3 + 0.5 * x).mul(255).round() / 255
    assert (equalize(x, x, 0.05) - equalize(pale, pale, 0.05)).abs().mean() < 0.01


def test_between_the_levels_of_a_scan_equalising_is_linear():
    x = torch.tensor([100, 101, 102, 103]).div(255).view(1, 1, 2, 2)
    between = torch.tensor([100.5, 101.25, 99.5, 10.0]).div(255).view(1, 1, 2, 2)
    torch.testing.assert_close(
        equalize(between, x, 0.05).flatten(), torch.tensor([0.375, 0.5625, 0.125, 0.0]), atol=1e-4, rtol=0
    )


def test_a_scan_without_foreground_is_equalised_to_0():
    assert equalize(eight_bit(0), torch.zeros(2, 1, 20, 24), 0.05).max() == 0


def test_a_broken_reconstruction_stays_broken_when_equalised():
    x = eight_bit(0)
    broken = x.clone()
    broken[1, 0, 3, 3] = torch.nan
    found = equalize(broken, x, 0.05)
    assert found.isnan().sum() == 1
    assert found[1, 0, 3, 3].isnan()


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
