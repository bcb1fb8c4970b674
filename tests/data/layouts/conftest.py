from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., Path]


@pytest.fixture
def lay(tmp_path: Path) -> Callable[..., Path]:
    """Lay out empty files below a folder, which a catalog does not look into."""

    def write(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        return tmp_path

    return write


@pytest.fixture
def write_image() -> WriteImage:
    """Write a tiny image and its folders: no two alike, unless they share ``seed``, mode and format."""
    count = iter(range(1000, 10**9))

    def write(file: Path, *, mode: str = "L", seed: int | None = None, size: tuple[int, int] = (12, 8)) -> Path:
        rng = np.random.default_rng(next(count) if seed is None else seed)
        image = Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).convert(mode)
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)
        return file

    return write
