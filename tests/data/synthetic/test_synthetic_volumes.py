from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mriad.data.catalog import Catalog
from mriad.data.layouts import volumes as layout
from mriad.data.synthetic import volumes
from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.volumes import make_synthetic_volumes
from mriad.errors import MriadError

SMALL = {"healthy_subjects": 3, "diseased_subjects": 3, "spacing": 4.0}


@pytest.fixture(scope="module", autouse=True)
def atlas_loaded_once() -> Iterator[None]:
    """Half of the time of a small set goes into its atlas."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volumes, "load_atlas", cache(load_atlas))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return make_synthetic_volumes(tmp_path_factory.mktemp("volumes"), **SMALL, workers=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_the_catalog_tells_all_of_each_scan(made: Catalog) -> None:
    table = made.table
    assert sorted(table["class"]) == ["bright_mass", "dark_mass", "healthy", "healthy", "healthy", "ring_enhancing"]
    assert ((table["mask"] != "") == (table["label"] == 1)).all()
    assert set(table["contrast"]) == {"T1"} and table["patient"].nunique() == 6
    assert all((made.root / file).is_file() for file in table["brain_mask"])


def test_masks_lie_on_the_grid_of_their_scan(made: Catalog) -> None:
    for row in made.table.itertuples():
        scan = nibabel.load(made.root / row.path)
        for mask in filter(None, (row.mask, row.brain_mask)):
            drawn = nibabel.load(made.root / mask)
            assert drawn.shape == scan.shape and np.allclose(drawn.affine, scan.affine)
            assert set(np.unique(drawn.get_fdata())) == {0, 1}


def test_the_brain_lies_where_the_affine_says_whatever_the_order_of_axes(made: Catalog) -> None:
    for row in made.table.itertuples():
        image = nibabel.load(made.root / row.brain_mask)
        middle = np.argwhere(image.get_fdata() > 0).mean(0)
        assert np.linalg.norm(image.affine @ [*middle, 1] - [0, -20, 12, 1]) < 25


def test_files_differ_in_what_scanners_differ_in(made: Catalog) -> None:
    images = [nibabel.load(file) for file in made.files()]
    assert len({nibabel.aff2axcodes(image.affine) for image in images}) > 1
    assert len({image.dataobj.slope for image in images}) == len(images)
    assert {image.get_data_dtype().name for image in images} == {"uint8"}
    assert len({np.count_nonzero(np.round(image.affine[:3, :3], 3)) > 3 for image in images}) == 2  # oblique or not
    assert len({np.linalg.det(image.affine[:3, :3]) > 0 for image in images}) == 2


def test_levels_are_kept_to_the_last_bit(made: Catalog) -> None:
    image = nibabel.load(made.files()[0])
    stored = np.asarray(image.dataobj.get_unscaled())
    assert np.allclose(image.get_fdata(), stored * image.dataobj.slope) and stored.max() > 100
    for file in made.files():
        stored = np.asarray(nibabel.load(file).dataobj.get_unscaled())
        assert 8 < np.median(stored[stored > 8]) < 240  # a brain is no white spot
        assert (stored == 255).mean() < 0.02


def test_it_is_a_folder_that_any_user_could_have(made: Catalog) -> None:
    found = layout(root=made.root).table
    assert found[["path", "label", "class", "mask", "brain_mask", "contrast"]].equals(
        made.table[["path", "label", "class", "mask", "brain_mask", "contrast"]]
    )


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(
    made: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "_FEW", 2)
    again = make_synthetic_volumes(tmp_path, **SMALL, workers=2)
    assert contents(again.root) == contents(made.root)


def test_a_second_call_only_reads(made: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("the set was made again")

    monkeypatch.setattr(volumes, "load_atlas", refuse)
    assert make_synthetic_volumes(made.root.parent, **SMALL).table.equals(made.table)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("healthy_subjects", 0, "whole number from 1"),
        ("spacing", 0.5, "number of mm from 1 to 4"),
        ("contrast", "PD", r"data\.contrast=PD is unknown"),
        ("contrast", ["T1", "T2"], r"data\.contrast=\['T1', 'T2'\] is unknown"),
    ],
)
def test_a_bad_argument_is_told_with_what_is_allowed(
    tmp_path: Path, argument: str, value: object, message: str
) -> None:
    with pytest.raises(MriadError, match=message):
        make_synthetic_volumes(tmp_path, **{argument: value})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
