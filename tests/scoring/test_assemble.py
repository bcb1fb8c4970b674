import pytest
import torch

from mriad.geometry.planes import AXES, slab_of, slice_of
from mriad.scoring.assemble import assembled, from_plane, in_plane, slices_of

DEPTH, SIDE = 5, 8


@pytest.fixture
def volumes():
    return torch.rand(2, 1, DEPTH, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.mark.parametrize("plane", AXES)
def test_slices_of_a_plane_lead_back_to_their_volume(volumes, plane):
    assert torch.equal(from_plane(in_plane(volumes, plane), plane, DEPTH), volumes)


@pytest.mark.parametrize("plane", AXES)
def test_slices_are_those_that_train(volumes, plane):
    slices = in_plane(volumes, plane)
    count = volumes.shape[2 + AXES[plane]]
    assert slices.shape == (2 * count, 1, SIDE, SIDE)
    for number, volume in enumerate(volumes[:, 0].numpy()):
        assert (slices[number * count + 3, 0].numpy() == slice_of(volume, plane, 3)).all()


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


@pytest.mark.parametrize("plane", AXES)
@pytest.mark.parametrize("neighbours", [1, 3])
def test_slabs_are_those_that_train(volumes, plane, neighbours):
    slabs = in_plane(volumes, plane, neighbours=neighbours)
    count = volumes.shape[2 + AXES[plane]]
    assert slabs.shape == (2 * count, 2 * neighbours + 1, SIDE, SIDE)
    for number, volume in enumerate(volumes[:, 0].numpy()):
        for place in range(count):
            expected = slab_of(volume, plane, place, neighbours)
            assert (slabs[number * count + place].numpy() == expected).all()


@pytest.mark.parametrize("planes", [("axial",), ("coronal",), ("sagittal",), tuple(AXES)])
@pytest.mark.parametrize("neighbours", [0, 1, 4])
def test_the_middle_of_each_slab_leads_back_to_the_volume(volumes, planes, neighbours):
    def middle(slabs):
        return slabs[:, neighbours : neighbours + 1]

    whole = assembled(middle, volumes, planes=planes, neighbours=neighbours)
    assert torch.allclose(whole, volumes, atol=1e-6) and (len(planes) > 1 or torch.equal(whole, volumes))


def test_a_neighbour_leads_to_the_volume_moved_by_a_slice(volumes):
    moved = assembled(lambda slabs: slabs[:, 2:], volumes, planes=("coronal",), neighbours=1)
    assert torch.equal(moved[:, :, :, :-1], volumes[:, :, :, 1:])
    assert moved[:, :, :, -1].eq(0).all()


def test_an_empty_slice_is_not_looked_at_whatever_its_neighbours_show(volumes):
    volumes[0, 0, 1] = 0
    slabs = torch.cat(list(slices_of(volumes, planes=("axial",), neighbours=1)))
    assert slabs.shape == (2 * DEPTH - 1, 3, SIDE, SIDE)
    assert (slabs[:, 1].flatten(1).amax(dim=1) > 0).all()
    maps = assembled(lambda slabs: torch.ones_like(slabs[:, :1]), volumes, planes=("axial",), neighbours=1)
    assert maps[0, 0, 1].eq(0).all() and maps.sum() == (2 * DEPTH - 1) * SIDE**2
