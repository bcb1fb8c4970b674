import sys

import pytest
import torch

from mriad.errors import MriadError
from mriad.scoring.patches import PatchGrid

pytest.importorskip("torchio", reason="the extra mriad[patches] is not installed")


def volumes(*sides, count=2):
    return torch.rand(count, 1, *sides, generator=torch.Generator().manual_seed(0)) + 0.1


SIDES = [(8, 8, 8), (16, 16, 16), (11, 18, 23), (8, 9, 30)]


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("sides", SIDES)
def test_the_maps_of_cubes_that_are_their_cubes_are_the_volume(sides, overlap):
    x = volumes(*sides)
    found = PatchGrid(size=8, overlap=overlap).assembled(lambda cubes: cubes.clone(), x)
    torch.testing.assert_close(found, x)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize("sides", SIDES)
def test_no_seam_shows_in_a_constant(sides, overlap):
    found = PatchGrid(size=8, overlap=overlap).assembled(lambda cubes: torch.full_like(cubes, 0.7), volumes(*sides))
    torch.testing.assert_close(found, torch.full_like(found, 0.7))


def test_the_faces_of_a_cube_hardly_count():
    def marked(cubes):
        maps = torch.ones_like(cubes)
        maps[:, :, 1:-1, 1:-1, 1:-1] = 0
        return maps

    found = PatchGrid(size=16).assembled(marked, volumes(48, 48, 48))
    assert found[..., 16:32, 16:32, 16:32].amax() < 0.1


@pytest.mark.parametrize(("overlap", "step"), [(0, 8), (0.5, 4), (0.4, 6)])
def test_neighbours_share_what_is_asked_for(overlap, step):
    x = torch.arange(1, 25).float().view(1, 1, 1, 1, 24).expand(1, 1, 8, 8, 24)
    (cubes,) = PatchGrid(size=8, overlap=overlap).cubes(x)
    assert cubes[:, 0, 0, 0, 0].tolist() == [*range(1, 17, step), 17]


def test_a_cube_with_nothing_in_it_is_not_looked_at():
    x, looked_at = volumes(8, 8, 16), []
    x[0, ..., :8] = 0

    def anomaly_map(cubes):
        looked_at.append(len(cubes))
        return torch.ones_like(cubes)

    grid = PatchGrid(size=8, overlap=0)
    maps = grid.assembled(anomaly_map, x)
    assert sum(looked_at) == 3 == sum(map(len, grid.cubes(x)))
    assert maps[0, ..., :8].eq(0).all() and maps.eq(1).sum() == 3 * 8**3


def test_volumes_have_the_same_maps_alone_and_in_a_batch():
    x, grid = volumes(11, 18, 23, count=3), PatchGrid(size=8)
    together = grid.assembled(torch.square, x)
    assert torch.equal(together, torch.cat([grid.assembled(torch.square, volume[None]) for volume in x]))


def test_as_many_cubes_come_at_once_as_fit_into_memory(monkeypatch):
    monkeypatch.setattr("mriad.scoring.patches._AT_ONCE", 2 * 8**3)
    sizes = [len(cubes) for cubes in PatchGrid(size=8, overlap=0).cubes(volumes(8, 8, 40))]
    assert sizes == [2, 2, 1] * 2


def test_maps_are_float32_whatever_the_detector_computes_in():
    x = volumes(8, 8, 12)
    found = PatchGrid(size=8).assembled(lambda cubes: cubes.bfloat16(), x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, x.bfloat16().float())


def test_the_middle_of_a_volume():
    x = volumes(8, 12, 16)
    assert torch.equal(PatchGrid(size=8).middle(x), x[:, :, :, 2:10, 4:12])


def test_whole_volumes_have_no_grid():
    assert PatchGrid.of(None) is None
    assert PatchGrid.of({"size": None, "overlap": 0.5}) is None
    assert PatchGrid.of({"size": 8, "overlap": 0.25}) == PatchGrid(size=8, overlap=0.25)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"size": 0}, "size=0"),
        ({"size": 8.5}, r"size=8\.5"),
        ({"size": "abc"}, "size=abc"),
        ({"size": 8, "overlap": 1}, "overlap=1"),
        ({"size": 8, "overlap": -0.1}, r"overlap=-0\.1"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(options, name):
    with pytest.raises(MriadError, match=rf"^data\.patches\.{name} is no "):
        PatchGrid(**options)


def test_torchio_that_is_missing_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchio", None)
    with pytest.raises(MriadError, match=r"size=8 needs TorchIO, .*pip install 'mriad\[patches\]'"):
        PatchGrid(size=8)
