"""Plain networks for whole volumes or cubes of them, without loss or training."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mriad.errors import MriadError
from mriad.models.networks import require_multiple, require_widths


class VolumeAutoencoderNetwork(nn.Module):
    """A strided convolution per width, a dense bottleneck, and the way back.

    Args:
        depth, image_size: voxels of a volume along its axes (depth, image_size, image_size), multiples of
            2 ** len(widths); ``depth`` is None where data are pictures, which it cannot take.
        latent_dim: width of the bottleneck.
        widths: channels after each halving of the sides.
        patch: side of the cubes of a volume that it sees instead of the whole, such a multiple too; None for the whole.
    """

    spatial_dims = 3

    def __init__(
        self,
        *,
        depth: int | None,
        image_size: int,
        latent_dim: int = 64,
        widths: Sequence[int] = (8, 16, 32, 64),
        patch: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, flat = _halves(_sides(depth, image_size, patch, widths), latent_dim, widths)
        self.to_code = nn.Linear(flat, latent_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct x, volumes (B, 1, D, S, S) or cubes in [0, 1]."""
        return self.decoder(self.to_code(self.encoder(x)))


class VolumeVAENetwork(nn.Module):
    """The same with a Gaussian code.

    Args:
        depth, image_size, widths, patch: see ``VolumeAutoencoderNetwork``.
        latent_dim: size of the latent code.
    """

    spatial_dims = 3

    def __init__(
        self,
        *,
        depth: int | None,
        image_size: int,
        latent_dim: int = 64,
        widths: Sequence[int] = (8, 16, 32, 64),
        patch: int | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder, self.decoder, flat = _halves(_sides(depth, image_size, patch, widths), latent_dim, widths)
        self.to_mu = nn.Linear(flat, latent_dim)
        self.to_logvar = nn.Linear(flat, latent_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent code, each (B, latent_dim); logvar within [-10, 10]."""
        features = self.encoder(x)
        return self.to_mu(features), self.to_logvar(features).clamp(-10, 10)

    def decode(self, z: Tensor) -> Tensor:
        """Volume (B, 1, D, S, S) or cube in [0, 1] of a latent code (B, latent_dim)."""
        return self.decoder(z)


def _sides(depth: int | None, image_size: int, patch: int | None, widths: Sequence[int]) -> tuple[int, int, int]:
    """Voxels along the axes of what a network sees.

    Raises:
        MriadError: if there are no widths, or there is no volume, or it cannot be halved as often, or it holds no cube.
    """
    if depth is None:
        raise MriadError("A network for volumes cannot take pictures; choose data of volumes, as data=volumes is.")
    require_widths("model.network.widths", widths)
    factor = 2 ** len(widths)
    if patch is None:
        require_multiple("A network for volumes", image_size, factor)
        require_multiple("A network for volumes", depth, factor, option="data.preprocess.depth")
        return depth, image_size, image_size
    if isinstance(patch, bool) or not isinstance(patch, int):
        raise MriadError(f"data.patches.size={patch} is no side of a cube in voxels; give a whole number, or null.")
    require_multiple("A network for volumes", patch, factor, option="data.patches.size")
    if patch > min(depth, image_size):
        raise MriadError(
            f"Cubes of data.patches.size={patch} do not fit into volumes of {depth} x {image_size} x {image_size} "
            "voxels; choose smaller ones, or null for whole volumes."
        )
    return patch, patch, patch


def _halves(
    sides: tuple[int, int, int], latent_dim: int, widths: Sequence[int]
) -> tuple[nn.Sequential, nn.Sequential, int]:
    """Encoder to a flat vector, decoder of a code, and the vector's length."""
    small = tuple(side // 2 ** len(widths) for side in sides)
    flat = widths[-1] * small[0] * small[1] * small[2]
    down = [
        layer
        for before, after in zip((1, *widths[:-1]), widths, strict=True)
        for layer in (nn.Conv3d(before, after, 3, stride=2, padding=1, bias=False), _norm(after), nn.LeakyReLU(0.2))
    ]
    up = [
        layer
        for before, after in zip(widths[::-1][:-1], widths[::-1][1:], strict=True)
        for layer in (_up(before, after), _norm(after), nn.LeakyReLU(0.2))
    ]
    start = (nn.Linear(latent_dim, flat), nn.Unflatten(1, (widths[-1], *small)))
    return (
        nn.Sequential(*down, nn.Flatten()),
        nn.Sequential(*start, *up, _up(widths[0], 1), nn.Sigmoid()),
        flat,
    )


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(8, channels), channels)  # a batch of volumes is too small for its own statistics


def _up(before: int, after: int) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(before, after, 4, stride=2, padding=1)
