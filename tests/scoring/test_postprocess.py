import torch

from mriad.scoring.postprocess import everywhere, foreground


def test_everywhere_counts_black_pixels_too():
    assert everywhere(torch.zeros(2, 1, 3, 3), 0.05).all()


def test_foreground_is_brighter_than_the_level_not_as_bright():
    x = torch.tensor([0.0, 0.25, 0.2501, 1.0]).view(1, 1, 2, 2)
    assert foreground(x, 0.25).flatten().tolist() == [False, False, True, True]


def test_masks_are_boolean_and_of_the_shape_of_the_scan():
    x = torch.rand(2, 1, 4, 5)
    for mask in (everywhere(x, 0.5), foreground(x, 0.5)):
        assert mask.dtype == torch.bool
        assert mask.shape == x.shape
