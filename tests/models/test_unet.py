import pytest
import torch
from hydra.utils import instantiate
from torch.nn import functional as F

from benchmarks.bench import composed
from mriad.errors import MriadError
from mriad.models import unet as unet_module
from mriad.models.unet import UNet


def unet(**options):
    torch.manual_seed(0)
    return UNet(**{"image_size": 16, "widths": [4, 8], **options})


@pytest.mark.parametrize(("side", "widths"), [(16, [4]), (16, [4, 8]), (24, [4, 6, 8]), (64, [4, 8, 8, 8])])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("mirror", [True, False])
def test_the_output_is_as_large_as_the_input(side, widths, depth, mirror):
    x = torch.rand(2, 1, side, side)
    assert unet(image_size=side, widths=widths, depth=depth, mirror=mirror)(x).shape == x.shape


@pytest.mark.parametrize(("side", "near"), [(50, 48), (2, 4), (0, 4), (61, 60)])
def test_a_size_that_cannot_be_halved_often_enough_is_told(side, near):
    with pytest.raises(
        MriadError, match=f"A U-Net of 2 levels cannot take data.image_size={side}: .*multiple of 4, such as {near}"
    ):
        unet(image_size=side)


@pytest.mark.parametrize("widths", [[], [4, 0], [4, 8.5]])
def test_a_network_without_levels_or_channels_is_told(widths):
    with pytest.raises(MriadError, match=r"model\.network\.widths=.* is no list of numbers of channels"):
        unet(widths=widths)


@pytest.mark.parametrize("depth", [0, -1, 1.5])
def test_a_level_has_a_convolution(depth):
    with pytest.raises(MriadError, match=rf"model\.network\.depth={depth} is no number of convolutions; give 1"):
        unet(depth=depth)


def test_a_negative_output_is_possible():
    """There is no activation behind the last convolution."""
    out = unet()(torch.rand(4, 1, 16, 16))
    assert out.min() < 0 < out.max()


def test_gradients_reach_every_parameter():
    network = unet(widths=[4, 8, 8])
    network(torch.rand(4, 1, 16, 16)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_each_pixel_of_the_output_sees_its_neighbourhood():
    """The deepest level sees far, the first one near: a changed pixel is felt on all sides of it."""
    network = unet(image_size=32, widths=[4, 8, 8]).eval()
    x = torch.rand(1, 1, 32, 32)
    changed = x.clone()
    changed[..., 16, 16] += 1
    felt = (network(changed) - network(x)).abs()[0, 0].detach() > 1e-7
    assert felt[12:20, 12:20].all()


def test_state_is_stored_and_loaded():
    first, second = unet(), unet()
    x = torch.rand(4, 1, 16, 16)
    first(x)  # moves the statistics of the normalisation
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert not torch.equal(first.eval()(x), second.eval()(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_the_scans_of_a_batch_do_not_see_each_other_when_tested():
    network, x = unet().eval(), torch.rand(4, 1, 16, 16)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))


@pytest.mark.parametrize("mirror", [True, False])
def test_only_with_the_mirror_image_beside_it_one_side_sees_the_other(mirror):
    network = unet(image_size=32, widths=[4], mirror=mirror).eval()
    x = torch.rand(1, 1, 32, 32)
    changed = x.clone()
    changed[..., 16, 4] += 1
    felt = (network(changed) - network(x)).abs()[0, 0].detach() > 1e-7
    assert felt[16, 4]
    assert felt[:, 16:].any() == mirror
    assert not felt[:, 14:18].any()
    assert network(x).shape == x.shape


def test_more_widths_and_more_depth_are_more_parameters():
    def size(**options):
        return sum(parameter.numel() for parameter in unet(**options).parameters())

    assert size(widths=[4]) < size(widths=[4, 8]) < size(widths=[4, 8, 8])
    assert size(depth=1) < size(depth=2) < size(depth=3)


def test_it_learns_where_bright_squares_are():
    torch.manual_seed(0)
    x = 0.2 * torch.rand(8, 1, 16, 16)
    target = torch.zeros_like(x)
    for index in range(8):
        target[index, :, index : index + 5, 3:8] = 1
    x = x + 0.5 * target
    network = unet()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = (network(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


def test_before_it_has_learned_it_gives_each_pixel_the_prior():
    torch.manual_seed(0)
    given = unet(prior=0.02)(torch.rand(4, 1, 16, 16)).sigmoid()
    assert 0.01 < given.mean() < 0.04


def test_the_segmenter_starts_from_a_prior():
    detector = instantiate(composed("train", "model=synthetic_anomaly", "data.image_size=32").model)
    assert detector.anomaly_map(torch.rand(4, 1, 32, 32)).mean() < 0.1


@pytest.mark.parametrize("prior", [0, 1, -0.1])
def test_a_prior_is_a_probability(prior):
    with pytest.raises(MriadError, match=rf"model\.network\.prior={prior} is no probability"):
        unet(prior=prior)


@pytest.mark.parametrize("mirror", [True, False])
def test_of_a_slab_it_answers_for_one_slice_and_sees_all(mirror):
    network = unet(mirror=mirror, neighbours=1)
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    out = network(x)
    assert out.shape == (2, 1, 16, 16)
    out.square().sum().backward()
    assert (x.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_a_graph_has_the_same_median(monkeypatch):
    torch.manual_seed(0)
    network = UNet(image_size=32, widths=[4, 8], relative=True).eval()
    scans = torch.rand(3, 1, 32, 32)
    scans[1, :, :20], scans[2] = 0, 0  # some background, and nothing else
    plain = network(scans)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.equal(network(scans), plain)


def test_a_spot_stands_out_alike_in_every_contrast():
    scans = torch.full((2, 1, 32, 32), 0.2)
    scans[0, 0, 16, 16], scans[1, 0, 16, 16] = 0.6, 0.0
    seen = unet_module._local_contrast(scans, 9)
    assert seen[0, 0, 16, 16] > 1 and seen[1, 0, 16, 16] < -1
    assert seen[:, :, 8:12, 20:24].abs().max() < 0.2


def test_the_mean_around_a_pixel_is_that_of_a_box():
    scans = torch.rand(2, 3, 16, 16)
    assert torch.allclose(unet_module._box(scans, 5), F.avg_pool2d(scans, 5, stride=1, padding=2), atol=1e-6)


@pytest.mark.parametrize("side", [0, 1, 8, -3, 2.5])
def test_a_neighbourhood_has_a_middle(side):
    with pytest.raises(MriadError, match=rf"model\.network\.local={side} is no side with a middle"):
        unet(local=side)


@pytest.mark.parametrize("mirror", [True, False])
def test_what_differs_from_its_surroundings_is_seen_beside_each_slice(mirror):
    assert unet(mirror=mirror, neighbours=1, local=5)(torch.rand(2, 3, 16, 16)).shape == (2, 1, 16, 16)
