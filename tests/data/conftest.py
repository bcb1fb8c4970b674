from collections.abc import Callable
from pathlib import Path

import pytest
from textured_scans import folder_layout, write_set

from mriad.data.datamodule import MRIDataModule
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.roles.splits import GroupedSplit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_set(tmp_path / "scans")


@pytest.fixture
def module(root: Path, tmp_path: Path) -> Callable[..., MRIDataModule]:
    """A data module of the scans in ``root``, set up; options replace the defaults here."""

    def make(image_size: int = 16, **options: object) -> MRIDataModule:
        defaults: dict[str, object] = {
            "name": "test",
            "layout": folder_layout,
            "root": root,
            "image_size": image_size,
            "preprocess": Preprocess(image_size=image_size),
            "split": GroupedSplit(),
            "cache_dir": tmp_path / "cache",
            "batch_size": 5,
        }
        datamodule = MRIDataModule(**defaults | options)
        datamodule.setup()
        return datamodule

    return make
