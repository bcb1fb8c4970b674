import pytest
import torch
from torch import nn

from mriad.errors import MriadError
from mriad.models.networks import (
    AutoencoderNetwork,
    VAENetwork,
    reparameterise,
)
from mriad.published.residual_vae import ResidualBlock, ResidualVAENetwork


def conv(before, after, stride=2, bias=True):
    return ("Conv2d", before, after, (3, 3), (stride, stride), (1, 1), bias)


def up(before, after, bias=True):
    return ("ConvTranspose2d", before, after, (3, 3), (2, 2), (1, 1), (1, 1), bias)


def linear(before, after):
    return ("Linear", before, after, True)


def leaky():
    return ("LeakyReLU", 0.2)


def down_block(before, after):
    return [conv(before, after), ("BatchNorm2d", after), leaky()]


def up_block(before, after):
    return [up(before, after), ("BatchNorm2d", after), leaky()]


def residual(channels):
    same = [conv(channels, channels, stride=1, bias=False), ("BatchNorm2d", channels)]
    return ("ResidualBlock", [*same, leaky(), *same])


def told(layer):
    """What defines a layer, in the words of the functions above."""
    kind = type(layer).__name__
    match layer:
        case nn.ConvTranspose2d():
            shape = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
            return (kind, layer.in_channels, layer.out_channels, *shape, layer.bias is not None)
        case nn.Conv2d():
            shape = (layer.kernel_size, layer.stride, layer.padding)
            return (kind, layer.in_channels, layer.out_channels, *shape, layer.bias is not None)
        case nn.Linear():
            return (kind, layer.in_features, layer.out_features, layer.bias is not None)
        case nn.BatchNorm2d():
            return (kind, layer.num_features)
        case nn.LeakyReLU():
            return (kind, layer.negative_slope)
        case nn.Dropout():
            return (kind, layer.p)
        case nn.Unflatten():
            return (kind, tuple(layer.unflattened_size))
        case ResidualBlock():
            return (kind, [told(inner) for inner in layer.body])
        case _:
            return (kind,)


def layers(sequence):
    return [told(layer) for layer in sequence]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):  # half a gigabyte of weights that no test reads
        return ResidualVAENetwork().eval()


def test_the_autoencoder_is_the_published_one_layer_by_layer():
    with torch.device("meta"):
        network = AutoencoderNetwork()
    relu = ("ReLU",)
    assert layers(network.encoder) == [
        *(conv(1, 32), relu, conv(32, 64), relu, conv(64, 128), relu),
        *(("Flatten",), linear(32768, 256), relu),
    ]
    assert layers(network.decoder) == [
        *(linear(256, 32768), relu, ("Unflatten", (128, 16, 16))),
        *(up(128, 64), relu, up(64, 32), relu, up(32, 1), ("Sigmoid",)),
    ]
    assert count(network) == 16_995_457


def test_the_residual_vae_is_the_published_one_layer_by_layer(published):
    assert layers(published.encoder) == [
        *down_block(1, 32),
        *down_block(32, 64),
        residual(64),
        *down_block(64, 128),
        residual(128),
        *down_block(128, 256),
        *down_block(256, 256),
        *(("Flatten",), linear(12544, 4096), leaky(), ("Dropout", 0.1)),
    ]
    assert told(published.to_mu) == told(published.to_logvar) == linear(4096, 2048)
    assert layers(published.decoder) == [
        *(linear(2048, 4096), leaky(), linear(4096, 12544), leaky(), ("Unflatten", (256, 7, 7))),
        *up_block(256, 256),
        *up_block(256, 128),
        residual(128),
        *up_block(128, 64),
        residual(64),
        *up_block(64, 32),
        *(up(32, 1), ("Sigmoid",)),
    ]


def test_the_residual_vae_has_the_published_number_of_parameters(published):
    assert count(published) == 130_647_937


def test_the_residual_vae_takes_224_pixels_to_2048_numbers_and_back(published):
    mu, logvar = published.encode(torch.empty(2, 1, 224, 224, device="meta"))
    assert mu.shape == logvar.shape == (2, 2048)
    assert published.decode(mu).shape == (2, 1, 224, 224)


def test_a_residual_block_adds_its_body_to_its_input():
    block = ResidualBlock(3).eval()
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    total = x + block.body(x)
    torch.testing.assert_close(block(x), torch.where(total > 0, total, 0.2 * total))


def test_the_compact_vae_halves_the_side_once_a_width():
    network = VAENetwork(image_size=32, latent_dim=5, widths=(4, 6, 8))
    assert layers(network.encoder) == [
        *(conv(1, 4, bias=False), ("BatchNorm2d", 4), leaky()),
        *(conv(4, 6, bias=False), ("BatchNorm2d", 6), leaky()),
        *(conv(6, 8, bias=False), ("BatchNorm2d", 8), leaky()),
        ("Flatten",),
    ]
    assert told(network.to_mu) == linear(8 * 4 * 4, 5)
    assert [layer[:3] for layer in layers(network.decoder) if layer[0] == "ConvTranspose2d"] == [
        ("ConvTranspose2d", 8, 6),
        ("ConvTranspose2d", 6, 4),
        ("ConvTranspose2d", 4, 1),
    ]


def test_the_compact_vae_has_the_size_that_its_option_file_names():
    with torch.device("meta"):
        assert round(count(VAENetwork()) / 1e6, 1) == 3.6


VAES = [
    VAENetwork(image_size=32, latent_dim=6, widths=(4, 8)),
    ResidualVAENetwork(image_size=64, latent_dim=6, hidden_dim=16),
]


@pytest.mark.parametrize("network", VAES, ids=lambda n: type(n).__name__)
def test_log_variances_stay_within_10(network):
    x = torch.rand(2, 1, 32, 32) if isinstance(network, VAENetwork) else torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        bias = network.to_logvar.bias.clone()
        network.to_logvar.bias.copy_(torch.tensor([99.0, -99, 99, -99, 99, -99]))
        logvar = network.eval().encode(x)[1]
        network.to_logvar.bias.copy_(bias)
    assert logvar.tolist() == [[10, -10] * 3] * 2


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (AutoencoderNetwork(image_size=24, latent_dim=4), 24),
        (VAENetwork(image_size=48, latent_dim=4), 48),
        (ResidualVAENetwork(image_size=96, latent_dim=4, hidden_dim=8), 96),
    ],
    ids=["ae", "vae", "vae_residual"],
)
def test_every_multiple_is_a_size_that_comes_back_in_0_to_1(network, size):
    x = torch.rand(3, 1, size, size)
    back = network.eval()(x) if isinstance(network, AutoencoderNetwork) else network.eval().decode(network.encode(x)[0])
    assert back.shape == x.shape
    assert back.min() >= 0
    assert back.max() <= 1


@pytest.mark.parametrize(
    ("model", "network", "size", "factor", "near"),
    [
        ("ae", AutoencoderNetwork, 100, 8, 96),
        ("ae", AutoencoderNetwork, 4, 8, 8),
        ("vae", VAENetwork, 120, 16, 128),
        ("vae", VAENetwork, 0, 16, 16),
        ("vae_residual", ResidualVAENetwork, 240, 32, 256),
        ("vae_residual", ResidualVAENetwork, -32, 32, 32),
    ],
)
def test_another_size_is_refused_with_one_that_would_do(model, network, size, factor, near):
    with pytest.raises(MriadError) as error:
        network(image_size=size)
    assert str(error.value) == (
        f"model={model} cannot take data.image_size={size}: it must be a multiple of {factor}, such as {near}."
    )


def test_a_sample_has_the_mean_and_the_variance_of_its_code():
    torch.manual_seed(0)
    z = reparameterise(torch.full((100_000, 2), 3.0), torch.tensor([0.0, 2.0]).expand(100_000, 2))
    torch.testing.assert_close(z.mean(dim=0), torch.tensor([3.0, 3.0]), atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(dim=0), torch.exp(torch.tensor([0.0, 2.0])), atol=0, rtol=0.03)


def test_a_vae_without_a_level_is_told():
    with pytest.raises(MriadError, match=r"model\.network\.widths=\[\] is no list of numbers of channels"):
        VAENetwork(widths=[])


@pytest.mark.parametrize("make", [AutoencoderNetwork, VAENetwork])
def test_the_memory_layout_changes_no_value(make):
    x = torch.rand(2, 1, 32, 32)
    usual, last = (make(image_size=32, latent_dim=8, channels_last=option).eval() for option in (False, True))
    last.load_state_dict(usual.state_dict())
    kernels = [weight for weight in last.parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)
    one, other = (net(x) if make is AutoencoderNetwork else net.decode(net.encode(x)[0]) for net in (usual, last))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("neighbours", [1, 2])
def test_of_a_slab_the_middle_slice_comes_back(neighbours):
    x = torch.rand(2, 2 * neighbours + 1, 32, 32)
    plain = AutoencoderNetwork(image_size=32, latent_dim=4, neighbours=neighbours).eval()
    compact = VAENetwork(image_size=32, latent_dim=4, widths=(4, 8), neighbours=neighbours).eval()
    assert plain(x).shape == compact.decode(compact.encode(x)[0]).shape == (2, 1, 32, 32)
    assert plain.neighbours == compact.neighbours == neighbours


@pytest.mark.parametrize("make", [AutoencoderNetwork, VAENetwork])
def test_each_slice_of_a_slab_is_seen(make):
    network = make(image_size=32, latent_dim=4, neighbours=1).eval()
    first = network.encoder[0].weight
    assert first.shape[1] == 3 and (first.abs().sum(dim=(0, 2, 3)) > 0).all()
