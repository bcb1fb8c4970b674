import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real scans; a test that asks for it is skipped where there is none."""
    folder = os.environ.get("MRIAD_DATA_ROOT")
    if not folder:
        pytest.skip("MRIAD_DATA_ROOT is not set: it names the folder of real scans")
    return Path(folder)
