"""Several trained detectors as one: the mean of their maps on a common scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from mriad.errors import MriadError
from mriad.models.detector import Detector
from mriad.models.fitted import FittedDetector

_QUANTILES = 4000
_FINEST = -6  # power of ten of the smallest share of healthy values that has quantiles of its own


class Ensemble(FittedDetector):
    """The mean of its members' maps, in which each value is replaced by its rank among healthy values.

    Residuals, probabilities and distances have nothing in common but their order; the share of healthy pixels that are
    calmer means the same for all of them. A member makes and post-processes its map with the score it was trained
    with, and its ranks are 0 where that score counts no pixel; then the ensemble's own score masks and pools the mean.
    A member whose anomaly score is not pooled from its map, as that of ``Nearest``, gives its map only.

    Weights and options of the members are part of the ensemble's, so that its checkpoint needs no other file.
    What a ``HealthyAtlas`` says of the val scans that have shaped it is true here as well.

    Args:
        members: trained detectors.
        runs: where they come from, MLflow run ids or paths of checkpoints; for the record only.
        **detector: see ``Detector``.

    Raises:
        MriadError: if there are fewer than two members.
    """

    def __init__(self, *, members: Sequence[Detector], runs: Sequence[str] = (), **detector: Any) -> None:
        super().__init__(**detector)
        if len(members) < 2:
            raise MriadError(
                f"model=ensemble needs two members or more, not {len(members)}: name trained runs, "
                "as in model.runs=[RUN_ID,RUN_ID]."
            )
        self.members = nn.ModuleList(members)
        self.ranks = nn.ModuleList(HealthyRanks() for _ in members)

    def fit_healthy(self, loader: Iterable[Mapping[str, Tensor]]) -> None:
        """Nothing: the members are trained, and ranks are among val scans, which no member has learned from."""

    @property
    def fits_scale(self) -> bool:
        """True: ranks are among healthy val values."""
        return True

    def fit_scale(self, healthy: Iterable[Mapping[str, Tensor]]) -> None:
        """Find the quantiles of each member's healthy maps, then fit the atlas of the ensemble's score."""
        for member, ranks in self._members():
            ranks.fit(maps[masks] for maps, masks in member.maps(healthy))
        super().fit_scale(healthy)

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Mean rank of each pixel, (B, 1, H, W) in [0, 2], see ``HealthyRanks``."""
        return self._map(x, x.new_full((len(x),), torch.nan))

    def _map(self, x: Tensor, pixel_area: Tensor) -> Tensor:
        masks: dict[Any, Tensor] = {}  # members that ask for the same pixels share their mask
        ranked = []
        for member, ranks in self._members():
            options = member.score.mask_options
            if options not in masks:
                masks[options] = member.score.mask(x)
            mask = masks[options]
            ranked.append(ranks(member.masked_map(x, mask, pixel_area)).where(mask, 0.0))
        return torch.stack(ranked).mean(dim=0)

    def _members(self) -> list[tuple[Detector, HealthyRanks]]:
        return [(cast(Detector, m), cast(HealthyRanks, r)) for m, r in zip(self.members, self.ranks, strict=True)]


class HealthyRanks(nn.Module):
    """Turns map values into ranks: the share of healthy values that are smaller.

    The share is read from a table of 4,000 quantiles, evenly spaced in the logarithm of the share that is larger, down
    to a millionth; between two of them it is interpolated. Equal values have the mean of the shares that they span.
    Above the largest healthy value, at distance d in standard deviations of the healthy values, the rank is
    1 + d / (1 + d): what is stranger still ranks higher, but no member outvotes the others by a mere lack of scale.

    Attributes:
        values: (4000,) quantiles of the healthy values, ascending.
        shares: (4000,) their ranks in [0, 1], ascending.
        spread: () standard deviation of the healthy values; 0 until it is fitted or loaded.
    """

    values: Tensor
    shares: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(_QUANTILES))
        self.register_buffer("shares", torch.zeros(_QUANTILES))
        self.register_buffer("spread", torch.zeros(()))

    def fit(self, healthy: Iterable[Tensor]) -> None:
        """Learn the quantiles.

        Args:
            healthy: healthy values, (n,) each.

        Raises:
            MriadError: if there is none, or one is not finite.
        """
        values = torch.cat([torch.zeros(0), *(part.float().cpu() for part in healthy)]).sort().values
        if len(values) == 0:
            raise MriadError("model=ensemble needs healthy scans in val; add some.")
        if not values.isfinite().all():
            raise MriadError("model=ensemble has a member whose healthy val maps are not finite; leave it out.")
        shares = 1 - torch.logspace(0, _FINEST, _QUANTILES, dtype=torch.float64)
        shares[-1] = 1.0
        position = shares * (len(values) - 1)
        below = position.long()
        table = torch.lerp(values[below], values[position.ceil().long()], (position - below).float())
        first, last = torch.searchsorted(table, table), torch.searchsorted(table, table, right=True) - 1
        self.values.copy_(table)
        self.shares.copy_((shares[first] + shares[last]) / 2)
        self.spread.copy_(values.double().std(correction=0).clamp(min=torch.finfo(torch.float32).tiny))

    def forward(self, maps: Tensor) -> Tensor:
        """Ranks of map values in [0, 2], above 1 where healthy maps have no such value; as they are if unfitted."""
        if torch.compiler.is_exporting():
            above = self._smaller(maps)
        elif self.spread == 0:
            return maps
        else:
            above = torch.searchsorted(self.values, maps.contiguous())
        above = above.clamp(1, _QUANTILES - 1)
        low, high = self.values[above - 1], self.values[above]
        weight = (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)
        share = torch.lerp(self.shares[above - 1], self.shares[above], weight.clamp(0, 1))
        excess = (maps - self.values[-1]) / self.spread
        return torch.where(excess > 0, 2 - 1 / (1 + excess), share)

    def _smaller(self, maps: Tensor) -> Tensor:
        """What ``searchsorted`` gives, for a graph, which has none: how many quantiles are smaller, by bisection."""
        count = torch.zeros_like(maps, dtype=torch.int64)
        for power in reversed(range(_QUANTILES.bit_length())):
            further = count + 2**power
            fits = (further <= _QUANTILES) & (self.values[further.clamp(max=_QUANTILES) - 1] < maps)
            count = torch.where(fits, further, count)
        return count
