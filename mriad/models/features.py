"""Detectors that look at a scan through a frozen encoder, pretrained on photographs or not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.models.fitted import FittedDetector
from mriad.models.networks import require_widths, resized
from mriad.models.trained import TrainedDetector
from mriad.scoring.residuals import gaussian_blur, similarity


class Encoder(nn.Module):
    """An image network of timm that is never trained: a scan in, its feature maps at several strides out.

    It is built with random weights. Those of the pretraining are fetched by ``fetch`` when a training begins, and from
    then on belong to the state: a checkpoint that is loaded needs no network connection.

    Args:
        name: timm's own name of the network, as in ``timm.list_models()``; it must give feature maps.
        layers: which of its feature maps, ascending; 0 has stride 2 in most networks, each further one the double.
        pretrained: whether ``fetch`` gets weights; False keeps the random ones.

    Attributes:
        channels: channels of each feature map.

    Raises:
        MriadError: if the name is another place's, or timm is missing or has no such network or layers.
    """

    mean: Tensor
    std: Tensor
    fetched: Tensor

    def __init__(self, *, name: str, layers: Sequence[int] = (1, 2), pretrained: bool = True) -> None:
        super().__init__()
        if re.fullmatch(r"[\w.-]+", name) is None:  # timm would fetch 'hf-hub:' and read 'local-dir:'
            raise MriadError(
                f"model.encoder.name={name} is no name of timm's own; give one of timm.list_models(), such as resnet18."
            )
        self._name, self._layers, self._pretrained = name, tuple(layers), pretrained
        self.network = _create(name, self._layers, pretrained=False).requires_grad_(False).eval()
        self.channels: list[int] = list(self.network.feature_info.channels())
        for statistic in ("mean", "std"):  # of the photographs, by colour
            values = torch.tensor(self.network.pretrained_cfg[statistic])
            self.register_buffer(statistic, values.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("fetched", torch.tensor(False))

    def fetch(self) -> None:
        """Get the pretrained weights, unless there is no need to.

        Raises:
            MriadError: if they cannot be had.
        """
        if self._pretrained and not self.fetched:
            self.network.load_state_dict(_create(self._name, self._layers, pretrained=True).state_dict())
            self.fetched.fill_(True)

    def train(self, mode: bool = True) -> Encoder:
        """Stay in evaluation mode: batch statistics are frozen as well."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, sum of channels, H', W') of scans (B, 1, H, W) in [0, 1], all in the size of the first."""
        maps = self.network((x - self.mean) / self.std)
        return torch.cat([resized(features, maps[0]) for features in maps], dim=1)


class PatchCore(FittedDetector):
    """Remembers what patches of healthy scans look like; Roth et al. 2022, arXiv:2106.08265.

    A patch is what the encoder says of a place, averaged over its neighbourhood of 3 x 3. Kept is a core set of healthy
    patches: greedily, the one that is farthest from all that are kept (k-center), of random candidates and by distance
    in a random projection. The map is the distance to the nearest patch kept, enlarged and blurred. Scores are pooled
    from the map as for any detector, without the paper's weights.

    Attributes:
        memory: (n, channels) the patches kept.

    Args:
        encoder: the frozen network.
        memory: number of patches to keep; all candidates if they are fewer.
        candidates: random patches of each train scan that may be kept.
        projection: dimensions of the random projection.
        blur: standard deviation in pixels of the Gaussian filter over the map; 0 for none.
        **detector: see ``Detector``.

    Raises:
        MriadError: if a number is out of range.
    """

    memory: Tensor

    def __init__(
        self,
        *,
        encoder: Encoder,
        memory: int = 2000,
        candidates: int = 64,
        projection: int = 128,
        blur: float = 4.0,
        **detector: Any,
    ) -> None:
        super().__init__(**detector)
        for option, number in {"memory": memory, "candidates": candidates, "projection": projection}.items():
            if not isinstance(number, int) or number < 1:
                raise MriadError(f"model.{option}={number} is no number of them; give 1 or more.")
        if blur < 0:
            raise MriadError(f"model.blur={blur} is no standard deviation in pixels; choose 0 or more.")
        self.encoder = encoder
        self._size, self._candidates, self._projection, self._blur = memory, candidates, projection, blur
        self.register_buffer("memory", torch.zeros(0, sum(encoder.channels)))

    @torch.no_grad()
    def fit_healthy(self, loader: Iterable[Mapping[str, Tensor]]) -> None:
        """Fetch the encoder's weights and choose the patches to keep.

        Raises:
            MriadError: if the weights cannot be had.
        """
        self.encoder.fetch()
        scans = (scan.flatten(1).T for batch in loader for scan in self._patches(batch["image"]))
        drawn = torch.cat([patches[torch.randperm(len(patches))[: self._candidates]] for patches in scans])
        projection = torch.randn(drawn.shape[1], self._projection).to(drawn) / self._projection**0.5
        self.memory = drawn[core_set(drawn @ projection, self._size)].to(self.memory)

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Distance of each place to the nearest healthy patch, (B, 1, H, W)."""
        patches = self._patches(x)
        if torch.compiler.is_exporting():  # a graph cannot count scans
            memory = self.memory.expand(x.shape[0], -1, -1)
            nearest = torch.cdist(patches.flatten(2).transpose(1, 2), memory).amin(dim=2)
        else:
            # one scan at a time: the distances of all patches to all that are kept take room
            nearest = torch.stack([torch.cdist(scan.flatten(1).T, self.memory).amin(dim=1) for scan in patches])
        maps = resized(nearest.view(-1, 1, *patches.shape[-2:]), x)
        return gaussian_blur(maps, self._blur) if self._blur else maps

    def _patches(self, x: Tensor) -> Tensor:
        """What the encoder says of each place and those around it, (B, channels, H', W')."""
        return F.avg_pool2d(self.encoder(x).float(), 3, stride=1, padding=1, count_include_pad=False)


class FeatureAutoencoder(TrainedDetector):
    """Reconstructs the feature maps of a frozen encoder; Meissen et al. 2023, arXiv:2208.10992.

    Loss and map are the structural dissimilarity of feature maps and their reconstruction, 1 - SSIM over a uniform
    window of 5 x 5, mean over channels; the map is enlarged to the scan's size.

    Args:
        encoder: the frozen network.
        widths: channels after each halving of the feature maps' side.
        **detector: see ``Detector``.

    Raises:
        MriadError: if there are no widths.
    """

    def __init__(self, *, encoder: Encoder, widths: Sequence[int] = (100, 150, 200, 300), **detector: Any) -> None:
        super().__init__(**detector)
        require_widths("model.widths", widths)
        self.encoder = encoder
        sides = [sum(encoder.channels), *widths]
        self.down = nn.ModuleList(_convolution(*pair, stride=2) for pair in itertools.pairwise(sides))
        self.up = nn.ModuleList(_convolution(*pair) for pair in itertools.pairwise([*sides[:0:-1], sides[1]]))
        self.last = nn.Conv2d(sides[1], sides[0], 1)

    def on_fit_start(self) -> None:
        """Fetch the encoder's weights, which a training that goes on has already."""
        self.encoder.fetch()

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Structural dissimilarity of the feature maps, (B, 1, H, W) in [0, 2]."""
        return resized(self._dissimilarity(x), x)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Mean structural dissimilarity."""
        return {"loss": self._dissimilarity(x).mean()}

    def reconstruct_features(self, features: Tensor) -> Tensor:
        """Feature maps (B, C, H', W') through the bottleneck, the same shape."""
        sizes = []
        hidden = features
        for down in self.down:
            sizes.append(hidden)
            hidden = down(hidden)
        for up, size in zip(self.up, sizes[::-1], strict=True):
            hidden = up(resized(hidden, size))
        return self.last(hidden)

    def _dissimilarity(self, x: Tensor) -> Tensor:
        """Mean over channels, (B, 1, H', W')."""
        features = self.encoder(x)
        reconstruction = self.reconstruct_features(features)
        return 1 - similarity(reconstruction, features, size=5).mean(dim=1, keepdim=True)


def core_set(points: Tensor, size: int) -> Tensor:
    """Indices of ``size`` points that leave no point far from all of them.

    Greedy k-center (Gonzalez 1985): the first point, then always the one that is farthest from those chosen; no more
    than there are different points.

    Args:
        points: (n, d), n > 0.
        size: 1 or more.

    Returns:
        (size or fewer,) int64, in the order in which they were chosen.
    """
    chosen = [0]
    distance = (points - points[0]).square().sum(dim=1)
    while len(chosen) < size:
        farthest = int(distance.argmax())
        if distance[farthest] == 0:
            break
        chosen.append(farthest)
        distance = distance.minimum((points - points[farthest]).square().sum(dim=1))
    return torch.tensor(chosen, device=points.device)


def _create(name: str, layers: tuple[int, ...], *, pretrained: bool) -> Any:
    """A network of timm that gives feature maps."""
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises the latter
        raise MriadError(
            f"model.encoder.name={name} needs timm, which cannot be imported ({_reason(error)}): "
            f"pip install 'mriad[pretrained]', with the torchvision that belongs to torch {torch.__version__}."
        ) from error
    try:
        return timm.create_model(name, pretrained=pretrained, features_only=True, out_indices=layers)
    except Exception as error:  # timm, the client of its hub and a connection raise whatever they like
        sentence = (
            f"The pretrained weights of model.encoder.name={name} cannot be fetched ({_reason(error)}); connect to the "
            "internet, or set model.encoder.pretrained=false for random ones."
            if pretrained
            else f"timm has no model.encoder.name={name} with the feature maps model.encoder.layers={list(layers)} "
            f"({_reason(error)}); choose others."
        )
        raise MriadError(sentence) from error


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 5, stride=stride, padding=2, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.01)
    )
