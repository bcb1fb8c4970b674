import pytest
import torch

from mriad.errors import MriadError
from mriad.scoring.assemble import AXES, assembled, from_plane, in_plane, require_planes, slices_of

DEPTH, SIDE = 5, 8


@pytest.fixture
def volumes():
    return torch.rand(2, 1, DEPTH, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.mark.parametrize("plane", AXES)
def test_slices_of_a_plane_lead_back_to_their_volume(volumes, plane):
    assert torch.equal(from_plane(in_plane(volumes, plane), plane, DEPTH), volumes)


@pytest.mark.parametrize("plane", AXES)
def test_slices_are_upright_squares_in_the_order_of_their_place(volumes, plane):
    slices = in_plane(volumes, plane)
    place = 3
    assert slices.shape[1:] == (1, SIDE, SIDE)
    assert len(slices) == len(volumes) * volumes.shape[AXES[plane]]
    one = volumes[0, 0].movedim(AXES[plane] - 2, 0)[place]
    if plane != "axial":  # axis 0 runs up, and an upright slice has its top in its first row
        one = one.flip(0)
        one = torch.cat([torch.zeros(1, SIDE), one, torch.zeros(2, SIDE)])
    assert torch.equal(slices[place, 0], one)


def test_the_map_of_a_volume_is_made_of_those_of_its_slices(volumes):
    assert torch.equal(assembled(lambda slices: 2 * slices, volumes, planes=("axial",)), 2 * volumes)
    three = assembled(lambda slices: 2 * slices, volumes, planes=tuple(AXES))
    assert torch.allclose(three, 2 * volumes)


def test_planes_are_averaged(volumes):
    seen = iter([torch.full((2 * DEPTH, 1, SIDE, SIDE), 1.0), torch.full((2 * SIDE, 1, SIDE, SIDE), 4.0)])
    assert (assembled(lambda _: next(seen), volumes, planes=("axial", "sagittal")) == 2.5).all()


def test_an_empty_slice_is_not_looked_at(volumes):
    volumes[0, 0, 1] = 0
    looked_at = []

    def anomaly_map(slices):
        looked_at.append(len(slices))
        return torch.ones_like(slices)

    maps = assembled(anomaly_map, volumes, planes=("axial",))
    assert sum(looked_at) == 2 * DEPTH - 1
    assert maps[0, 0, 1].eq(0).all()
    assert maps.eq(1).flatten(2).sum() == (2 * DEPTH - 1) * SIDE**2
    assert sum(map(len, slices_of(volumes, planes=("axial",)))) == 2 * DEPTH - 1


def test_planes_must_be_known():
    assert require_planes(["sagittal", "axial", "sagittal"]) == ("sagittal", "axial")
    with pytest.raises(MriadError, match="oblique"):
        require_planes(["oblique"])
    with pytest.raises(MriadError, match="nothing to look at"):
        require_planes([])
