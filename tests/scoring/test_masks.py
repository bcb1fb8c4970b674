import pytest
import torch
from scipy import ndimage

from mriad.anatomy import brain_mask
from mriad.scoring.masks import brain, erode, everywhere, foreground


def heads(count):
    """Bright scalp, dark skull, grey brain of different widths."""
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    scans = []
    for index in range(count):
        radius = ((row - 32) / 30).square() + ((column - 32) / (28 - 3 * index)).square()
        scans.append((radius < 0.7) * 0.5 + ((radius > 0.85) & (radius < 1)) * 0.9)
    return torch.stack(scans).unsqueeze(1)


def test_everywhere_counts_black_pixels_too():
    assert everywhere(torch.zeros(2, 1, 3, 3), 0.05).all()


def test_foreground_is_brighter_than_the_level_not_as_bright():
    x = torch.tensor([0.0, 0.25, 0.2501, 1.0]).view(1, 1, 2, 2)
    assert foreground(x, 0.25).flatten().tolist() == [False, False, True, True]


def test_masks_are_boolean_and_of_the_shape_of_the_scan():
    x = torch.rand(2, 1, 4, 5)
    for mask in (everywhere(x, 0.5), foreground(x, 0.5), brain(x, 0.5)):
        assert mask.dtype == torch.bool
        assert mask.shape == x.shape


def test_brain_is_found_in_each_scan_by_itself():
    x = heads(3)
    masks = brain(x, 0.05)
    for scan, mask in zip(x, masks, strict=True):
        assert torch.equal(mask[0], torch.from_numpy(brain_mask(scan[0].numpy())))
        assert (mask == (scan == 0.5)).float().mean() > 0.9


def test_brain_does_not_depend_on_the_level():
    x = heads(2)
    assert torch.equal(brain(x, 0.05), brain(x, 0.8))


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_erosion_takes_a_square_off_the_edge_but_not_off_the_image(pixels):
    mask = torch.rand(2, 1, 20, 24, generator=torch.Generator().manual_seed(0)) > 0.02
    side = 2 * pixels + 1
    expected = ndimage.binary_erosion(mask.numpy(), structure=torch.ones(1, 1, side, side).numpy(), border_value=1)
    assert torch.equal(erode(mask, pixels), torch.from_numpy(expected))
    assert mask.any() and not mask.all()
