from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from mriad.data.catalog import COLUMNS, Catalog
from mriad.data.synthetic import dataset
from mriad.data.synthetic.atlas import Atlas, load_atlas
from mriad.data.synthetic.cohort import LEAST_MASK
from mriad.data.synthetic.dataset import make_synthetic
from mriad.data.synthetic.lesions import KINDS
from mriad.errors import MriadError

SMALL = {"healthy_subjects": 2, "diseased_subjects": 1, "slices_per_subject": 4, "size": 128}


@pytest.fixture(scope="module", autouse=True)
def atlas_loaded_once() -> Iterator[None]:
    """Half of the time of a small set goes into its atlas."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "load_atlas", cache(load_atlas))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return make_synthetic(
        tmp_path_factory.mktemp("synthetic"),
        healthy_subjects=40,
        diseased_subjects=20,
        slices_per_subject=5,
        size=128,
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return make_synthetic(tmp_path_factory.mktemp("small"), **SMALL, seed=3, workers=1)


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def head_share_of_range(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image[image > 0.06 * image.max()], [0.5, 99.5])
    return np.clip((image - low) / (high - low), 0, 1)


def test_same_seed_gives_the_same_bytes_whatever_the_workers(
    small: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_FEW", 2)
    again = make_synthetic(tmp_path, **SMALL, seed=3, workers=2)
    assert contents(again.root) == contents(small.root)


def test_another_seed_gives_other_pixels(small: Catalog, tmp_path: Path) -> None:
    other = make_synthetic(tmp_path, **SMALL, seed=4)
    assert other.root.name != small.root.name
    assert not set(other.with_content().table["content"]) & set(small.with_content().table["content"])


def test_second_call_only_reads(small: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("the set was made again")

    monkeypatch.setattr(dataset, "load_atlas", refuse)
    before = {file: file.stat().st_mtime_ns for file in small.root.rglob("*")}
    again = make_synthetic(small.root.parent, **SMALL, seed=3)
    assert {file: file.stat().st_mtime_ns for file in small.root.rglob("*")} == before
    assert again.table.equals(small.table)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs quick processes")
def test_processes_that_make_it_at_once_leave_one_complete_folder(tmp_path: Path, small: Catalog) -> None:
    context = multiprocessing.get_context("fork")  # the children have the atlas and all modules already
    settings = {**SMALL, "seed": 3, "workers": 1}
    runs = [context.Process(target=make_synthetic, args=(tmp_path,), kwargs=settings) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=60)
    assert [run.exitcode for run in runs] == [0, 0]
    assert [folder.name for folder in tmp_path.iterdir()] == [small.root.name]
    assert contents(tmp_path / small.root.name) == contents(small.root)


def test_slower_process_uses_what_the_faster_one_made(
    tmp_path: Path, small: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_while_another_finishes() -> Atlas:
        shutil.copytree(small.root, tmp_path / small.root.name)
        return atlas()

    atlas = dataset.load_atlas
    monkeypatch.setattr(dataset, "load_atlas", load_while_another_finishes)
    assert make_synthetic(tmp_path, **SMALL, seed=3).table.equals(small.table)
    assert [folder.name for folder in tmp_path.iterdir()] == [small.root.name]


def test_catalog_tells_all_of_each_scan(made: Catalog) -> None:
    table = made.table
    assert list(table) == list(COLUMNS)
    assert len(table) == 60 * 5
    assert set(table["plane"]) == {"axial", "coronal", "sagittal"}
    assert set(table["contrast"]) == {"T1", "T1c", "T2", "FLAIR"}
    assert set(table.loc[table["label"] == 1, "class"]) == set(KINDS)
    assert set(table.loc[table["label"] == 0, "class"]) == {"healthy"}
    assert (table["pool"] == "").all()
    assert ((table["mask"] != "") == (table["label"] == 1)).all()


def test_a_diseased_patient_has_one_lesion_and_a_slice_without_it(made: Catalog) -> None:
    diseased = made.table.groupby("patient").filter(lambda rows: rows["label"].any())
    assert diseased.groupby("patient")["label"].sum().eq(4).all()
    assert diseased.groupby("patient")["class"].nunique().eq(2).all()  # its kind, and healthy


def test_masks_mark_visible_pixels_within_the_head(made: Catalog) -> None:
    for row in made.table[made.table["label"] == 1].itertuples():
        image, mask = pixels(made.root / row.path), pixels(made.root / row.mask)
        assert image.dtype == mask.dtype == np.uint8
        assert image.shape == mask.shape == (128, 128)
        assert set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        assert len(rows) >= LEAST_MASK
        head_rows, head_columns = np.nonzero(image > 0.2 * image.max())
        assert head_rows.min() < rows.min()
        assert head_columns.min() < columns.min()
        assert columns.max() < head_columns.max()


def test_scans_are_grey_eight_bit_images_with_dark_corners(made: Catalog) -> None:
    for file in made.files()[::7]:
        image = pixels(file)
        assert image.shape == (128, 128)
        assert image.dtype == np.uint8
        assert np.median(image[:6, :6]) < 0.25 * np.percentile(image, 95)


@pytest.mark.parametrize("scaled", [False, True])
def test_no_trivial_feature_tells_disease(made: Catalog, scaled: bool) -> None:
    images = [pixels(file).astype(float) for file in made.files()]
    if scaled:
        images = [head_share_of_range(image) for image in images]
    features = {
        "mean": [image.mean() for image in images],
        "99th percentile": [np.percentile(image, 99) for image in images],
        "foreground share": [(image > 0.05 * image.max()).mean() for image in images],
    }
    for name, values in features.items():
        auroc = roc_auc_score(made.table["label"], values)
        assert max(auroc, 1 - auroc) < 0.70, name


@pytest.mark.parametrize(
    ("argument", "value"),
    [("healthy_subjects", 0), ("size", 16), ("seed", -1), ("workers", 0), ("slices_per_subject", 2.5)],
)
def test_bad_argument_is_told_with_what_is_allowed(tmp_path: Path, argument: str, value: object) -> None:
    with pytest.raises(MriadError, match=f"{argument}.*{value}.*whole number from"):
        make_synthetic(tmp_path, **{argument: value})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MriadError, match="file"):
        make_synthetic(tmp_path / "file", **SMALL)


def test_lost_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    few = {"healthy_subjects": 1, "diseased_subjects": 1, "slices_per_subject": 1, "size": 128}
    made_here = make_synthetic(tmp_path, **few)
    lost = made_here.files()[0]
    lost.unlink()
    with pytest.raises(MriadError, match=rf"{lost.name}.*delete"):
        make_synthetic(tmp_path, **few)
