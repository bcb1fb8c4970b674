import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="session")
def healthy():
    """Make a healthy scan of a side in pixels: (scan in [0, 1], brain); a dark skull parts the brain from the scalp."""

    def build(side=64, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        depth = np.hypot(y / 0.9, x / 0.75)
        texture = gaussian_filter(rng.normal(size=(side, side)), side / 25)
        tissue = np.clip(0.45 + 0.12 * texture / texture.std(), 0.15, 0.85)
        scan = np.where(depth < 0.8, tissue, np.where((depth > 0.9) & (depth < 1), 0.8, 0.0))
        return scan.astype(np.float32), depth < 0.8

    return build
