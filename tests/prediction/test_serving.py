import pytest
import torch
from torch import nn

from mriad.models import Ensemble, Intensity
from mriad.models.features import Encoder
from mriad.prediction import serving
from mriad.scoring import Score


class Encoding(Intensity):
    """A detector with an encoder, which is not built."""

    def __init__(self):
        super().__init__(score=Score())
        self.encoder = Encoder.__new__(Encoder)
        nn.Module.__init__(self.encoder)


@pytest.mark.parametrize(
    ("make", "needs_timm"),
    [
        (lambda: Intensity(score=Score()), False),
        (Encoding, True),
        (lambda: Ensemble(members=[Intensity(score=Score()), Encoding()], score=Score()), True),
        (lambda: Ensemble(members=[Intensity(score=Score())] * 2, score=Score()), False),
    ],
    ids=["plain", "encoder", "member", "no_member"],
)
def test_timm_is_asked_for_where_a_network_of_its_is_served(monkeypatch, make, needs_timm):
    monkeypatch.setattr(serving.metadata, "version", lambda name: "1.2" if name == "timm" else torch.__version__)
    found = serving.requirements(make())
    assert ("timm==1.2" in found) == needs_timm
    assert f"torch=={torch.__version__}" in found
