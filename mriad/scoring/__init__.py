"""From detector output to anomaly score: residual, post-processing, pooling."""

from mriad.scoring.score import Score

__all__ = ["Score"]
