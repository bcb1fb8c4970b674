import pytest

from .toy_command import Toy


@pytest.fixture
def toy(tmp_path, tracking_uri):
    return Toy(tmp_path, tracking_uri)
