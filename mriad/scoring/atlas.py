"""What the maps of healthy scans look like at each pixel, and how far a map is from that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mriad.errors import MriadError
from mriad.scoring.residuals import gaussian_blur

_SMOOTHING = 1 / 64  # standard deviation of the Gaussian over the sums, as a share of the map's height
_FEWEST = 5.0  # healthy scans that must show a pixel for it to have a mean and a spread of its own
_FLOOR = 0.2  # smallest standard deviation of a pixel, as a share of the root mean square over all pixels


class HealthyAtlas(nn.Module):
    """Turns anomaly maps into standard deviations from what healthy scans show at the same pixel.

    Detectors err more at some places than at others, at the rim of the brain for one: a residual that is nothing there
    is a finding elsewhere. Scans have to lie alike, as slices that are cut to the head do.

    Mean and standard deviation of a pixel are those of the healthy maps in which it counts, over its neighbourhood: a
    Gaussian of 1/64 of the map's height (2 pixels at 128) weighs the pixels around it. A pixel that counts in fewer
    than five healthy maps takes both from all pixels together. The standard deviation is at least a fifth of its root
    mean square over all pixels, so that a place where healthy maps hardly vary does not turn noise into a finding.

    The val scans whose scores then set the threshold have shaped the atlas, and lie closer to it than new healthy scans
    do: expect more false positives than on val, the more the fewer healthy val scans there are. What a threshold rule
    promises of them, as 'conformal' does, is not kept to the letter.

    Attributes:
        mean: (*spatial) mean of the healthy maps; (0, 0) until it is fitted or loaded.
        spread: (*spatial) standard deviation of the healthy maps, likewise.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(0, 0))
        self.register_buffer("spread", torch.zeros(0, 0))

    @property
    def is_fitted(self) -> bool:
        """Whether there is anything to compare a map with."""
        return self.mean.numel() > 0

    @property
    def floor(self) -> Tensor:
        """() what a map of 0, the least that most maps can have, is worth where that is least; 0 or below."""
        return (-self.mean / self.spread).min().clamp(max=0)

    def reset(self) -> None:
        """Forget what was fitted: maps stay as they are."""
        self.mean, self.spread = self.mean.new_zeros(0, 0), self.spread.new_zeros(0, 0)

    def fit(self, healthy: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Learn mean and spread.

        Args:
            healthy: batches of maps (B, 1, *spatial) and of the pixels that count, likewise and boolean.

        Raises:
            MriadError: if there is no map, or one is not finite.
        """
        sums: Tensor | None = None
        for maps, masks in healthy:
            counted, values = masks.cpu().double(), (maps * masks).cpu().double()
            batch = torch.stack([part.sum(dim=0) for part in (counted, values, values.square())])
            sums = batch if sums is None else sums + batch
        if sums is None or sums[0].sum() == 0:
            raise MriadError("score.atlas=true needs healthy scans in val; add some, or set score.atlas=false.")
        if not sums.isfinite().all():
            raise MriadError("score.atlas=true cannot be fitted: healthy val maps are not finite; train again.")
        shown = gaussian_blur(sums, _SMOOTHING * sums.shape[-2])
        shown = torch.where(shown[0] >= _FEWEST, shown, sums.sum(dim=tuple(range(1, sums.ndim)), keepdim=True))
        mean = shown[1] / shown[0]
        variance = (shown[2] / shown[0] - mean.square()).clamp(min=0)
        typical = ((variance * sums[0]).sum() / sums[0].sum()).clamp(min=1e-12)
        spread = variance.clamp(min=_FLOOR**2 * float(typical)).sqrt()
        with torch.inference_mode(False):  # an atlas that is fitted in a validation pass can be loaded into later
            self.mean, self.spread = (part[0].clone().to(self.mean) for part in (mean, spread))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, 1, *spatial) in standard deviations, below 0 where calmer than healthy; unfitted as they are."""
        return (maps - self.mean) / self.spread if self.is_fitted else maps

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        for name in ("mean", "spread"):
            stored = state_dict.get(prefix + name)
            if isinstance(stored, Tensor):  # the size is for the data to decide
                self.register_buffer(name, getattr(self, name).new_zeros(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
