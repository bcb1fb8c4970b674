import errno
import json
import multiprocessing
import os
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import mriad.data.preparing.cache as cache_module
import mriad.data.preparing.prepared as prepared_module
from mriad.anatomy import head_mask
from mriad.data.catalog import Catalog
from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.reading.decode import DecodedImage, decode
from mriad.errors import MriadError, ReadError
from mriad.geometry import ScanGeometry

PREPROCESS = Preprocess(image_size=24)


def write_scan(file: Path, seed: int, *, size: tuple[int, int] = (60, 48)) -> None:
    """A bright ellipse with texture of its own on black."""
    row, column = np.indices(size)
    head = ((row / size[0] - 0.5) / 0.4) ** 2 + ((column / size[1] - 0.5) / 0.35) ** 2 <= 1
    texture = np.random.default_rng(seed).integers(80, 250, size)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(head, texture, 0).astype(np.uint8)).save(file)


def write_mask(file: Path, *, size: tuple[int, int] = (60, 48)) -> None:
    mask = np.zeros(size, dtype=np.uint8)
    mask[25:35, 20:30] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(file)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """3 healthy scans, 3 with a lesion; masks of the first two of these."""
    root = tmp_path / "scans"
    for n in range(3):
        write_scan(root / f"no/{n}.png", n)
        write_scan(root / f"yes/{n}.png", 10 + n)
    for n in range(2):
        write_mask(root / f"masks/{n}.png")
    return root


def catalog_of(root: Path, *, masks: bool = True) -> Catalog:
    records = [{"path": file.relative_to(root).as_posix(), "label": 0} for file in root.glob("no/*")]
    for file in root.glob("yes/*"):
        mask = f"masks/{file.name}"
        has_mask = masks and (root / mask).exists()
        records.append({"path": f"yes/{file.name}", "label": 1, "mask": mask if has_mask else ""})
    return Catalog.from_records(records, root=root).with_content()


def open_cache(root: Path, folder: Path, preprocess: Preprocess = PREPROCESS, *, masks: bool = True) -> ScanCache:
    return ScanCache.open(catalog_of(root, masks=masks), preprocess, folder=folder)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that the cache decodes from now on."""
    names: list[str] = []

    def counting(file: Path, channel: str) -> DecodedImage:
        names.append(file.name)
        return decode(file)

    monkeypatch.setattr(prepared_module, "decode", counting)
    return names


def built(folder: Path) -> list[Path]:
    return sorted((folder / "slices").glob("*/pack-*"))


def test_each_slice_is_what_preprocess_makes_of_its_scan(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    catalog = catalog_of(root)
    assert cache.images.shape == (6, 24, 24)
    assert cache.images.dtype == np.uint8
    for row, file in enumerate(catalog.files()):
        expected, geometry = PREPROCESS(decode(file).pixels)
        np.testing.assert_array_equal(cache.images[row], expected)
        fields = {name: cache.facts[name].iat[row] for name in geometry.as_record() if name != "spacing"}
        assert ScanGeometry(**fields) == geometry


@pytest.mark.parametrize("crop", ["head", "none"])
def test_facts_are_the_fingerprint_of_the_original_whatever_the_preprocessing(root, tmp_path, crop):
    cache = open_cache(root, tmp_path / "cache", Preprocess(image_size=24, crop=crop, low=None, high=None))
    assert (cache.facts["error"] == "").all()
    for row, file in enumerate(catalog_of(root).files()):
        expected = Fingerprint.of(decode(file)).as_record()
        assert cache.facts.loc[row, list(expected)].to_dict() == pytest.approx(expected)
    assert cache.facts["phash"].is_unique


def test_the_head_is_looked_for_once_per_scan(root, tmp_path, monkeypatch):
    looked = []

    def counting(pixels: np.ndarray) -> np.ndarray:
        looked.append(1)
        return head_mask(pixels)

    monkeypatch.setattr("mriad.data.preparing.preprocess.head_mask", counting)
    monkeypatch.setattr("mriad.data.preparing.fingerprint.head_mask", counting)
    open_cache(root, tmp_path / "cache")
    assert len(looked) == 6


def test_thumbnails_are_those_of_the_originals(root, tmp_path):
    (root / "no/1.png").write_bytes(b"broken")
    cache = open_cache(root, tmp_path / "cache")
    assert (cache.thumbnails.shape, cache.thumbnails.dtype) == ((6, 16, 16), np.uint8)
    for row, file in enumerate(catalog_of(root).files()):
        expected = np.zeros((16, 16)) if row == 1 else thumbnail(decode(file).pixels)
        np.testing.assert_array_equal(cache.thumbnails[row], expected)


def test_masks_go_the_way_of_their_scans(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    rows = np.arange(6)
    np.testing.assert_array_equal(cache.has_mask(rows), [False, False, False, True, True, False])
    pixels = decode(root / "yes/1.png").pixels
    _, geometry = PREPROCESS(pixels)
    lesion = np.zeros(pixels.shape, dtype=bool)
    lesion[25:35, 20:30] = True
    masks = cache.masks_of(np.array([4, 3]))
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks[0], geometry.mask_to_network(lesion))


def test_facts_of_the_masks_are_kept_and_rows_can_go_without_theirs(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    assert cache.facts["lesions"].tolist() == [0, 0, 0, 1, 1, 0]
    assert cache.facts["lesions_outside"].tolist() == [0] * 6
    assert (cache.facts["lesion_share"] > 0.05).tolist() == [False, False, False, True, True, False]
    less = cache.without_masks(np.array([3]))
    np.testing.assert_array_equal(less.has_mask(np.arange(6)), [False, False, False, False, True, False])
    np.testing.assert_array_equal(less.masks_of(np.array([4])), cache.masks_of(np.array([4])))


def test_a_healthy_scan_may_have_an_empty_mask_and_no_other(root, tmp_path):
    catalog = catalog_of(root)
    catalog.table.loc[:1, "mask"] = ["masks/empty.png", "masks/2.png"]
    Image.fromarray(np.zeros((60, 48), dtype=np.uint8)).save(root / "masks/empty.png")
    write_mask(root / "masks/2.png")
    cache = ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    np.testing.assert_array_equal(cache.has_mask(np.arange(6)), [False, False, False, True, True, False])
    assert [bool(error) for error in cache.facts["error"]] == [False, True, False, False, False, False]
    assert "no/1.png is labelled healthy but its mask masks/2.png is not empty" in cache.facts["error"].iat[1]


def test_the_same_files_under_the_other_label_do_not_meet_the_old_facts(root, tmp_path):
    catalog = catalog_of(root)
    assert (ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache").facts["error"] == "").all()
    catalog.table.loc[3, ["label", "class"]] = 0, "healthy"
    relabelled = ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    assert "labelled healthy" in relabelled.facts["error"].iat[3]


def test_a_data_set_without_any_mask_works(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache", masks=False)
    assert not cache.has_mask(np.arange(6)).any()
    assert cache.masks.shape == (0, 24, 24)
    assert cache.masks_of(np.array([], dtype=np.int64)).shape == (0, 24, 24)


def test_a_cache_is_built_once_and_then_only_read(root, tmp_path, decoded):
    first = open_cache(root, tmp_path / "cache")
    assert sorted(decoded) == ["0.png", "0.png", "1.png", "1.png", "2.png", "2.png"]
    second = open_cache(root, tmp_path / "cache")
    assert len(decoded) == 6
    np.testing.assert_array_equal(first.images, second.images)
    assert len(built(tmp_path / "cache")) == 1


def test_a_moved_data_set_meets_its_old_cache(root, tmp_path, decoded):
    open_cache(root, tmp_path / "cache")
    root.rename(tmp_path / "elsewhere")
    open_cache(tmp_path / "elsewhere", tmp_path / "cache")
    assert len(decoded) == 6


@pytest.mark.parametrize(
    "option",
    [
        {"image_size": 16},
        {"crop": "none"},
        {"low": 1.0},
        {"high": 98.0},
        {"low": None, "high": None},
        {"over": "all"},
        {"shape": "stretch"},
    ],
    ids=lambda option: "-".join(option),
)
def test_another_option_never_meets_the_old_slices(root, tmp_path, option):
    open_cache(root, tmp_path / "cache")
    preprocess = Preprocess(**{"image_size": 24} | option)
    cache = open_cache(root, tmp_path / "cache", preprocess)
    expected, _ = preprocess(decode(root / "no/1.png").pixels)
    np.testing.assert_array_equal(cache.images[1], expected)
    assert len(built(tmp_path / "cache")) == 2


def test_a_changed_scan_gets_a_new_cache(root, tmp_path):
    open_cache(root, tmp_path / "cache")
    write_scan(root / "no/1.png", seed=99)
    cache = open_cache(root, tmp_path / "cache")
    expected, _ = PREPROCESS(decode(root / "no/1.png").pixels)
    np.testing.assert_array_equal(cache.images[1], expected)


@pytest.mark.parametrize("name", ["0.png", "a#1.png"])
def test_a_changed_mask_gets_a_new_cache(root, tmp_path, name):
    (root / "yes/0.png").rename(root / f"yes/{name}")
    (root / "masks/0.png").rename(root / f"masks/{name}")
    old = open_cache(root, tmp_path / "cache").masks[:].sum()
    mask = np.zeros((60, 48), dtype=np.uint8)
    mask[20:45, 15:35] = 255
    Image.fromarray(mask).save(root / f"masks/{name}")
    assert open_cache(root, tmp_path / "cache").masks[:].sum() > old + 50


def test_changed_outlines_get_a_new_cache(root, tmp_path):
    def with_outline(radius: int) -> ScanCache:
        region = {"shape_attributes": {"name": "circle", "cx": 24, "cy": 30, "r": radius}}
        outlines = {"0": {"filename": "0.png", "regions": [region]}}
        (root / "outlines.json").write_text(json.dumps(outlines))
        record = {"path": "yes/0.png", "label": 1, "mask": "outlines.json#0.png"}
        catalog = Catalog.from_records([record], root=root).with_content()
        return ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")

    small, large = with_outline(4), with_outline(12)
    assert 0 < small.masks[:].sum() < large.masks[:].sum()


def test_scan_and_mask_of_one_content_do_not_meet_those_of_another_pairing(root, tmp_path):
    def paired(mask: str) -> ScanCache:
        record = {"path": "yes/0.png", "label": 1, "mask": mask}
        catalog = Catalog.from_records([record], root=root).with_content()
        return ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")

    Image.new("L", (48, 60), 255).save(root / "masks/1.png")
    assert paired("masks/1.png").masks[:].sum() > paired("masks/0.png").masks[:].sum()
    assert paired("").masks.shape[0] == 0


def test_broken_scans_and_masks_become_error_rows_and_the_others_stay(root, tmp_path):
    (root / "no/1.png").write_bytes(b"no image")
    (root / "no/2.png").write_bytes((root / "no/2.png").read_bytes()[:200])
    write_mask(root / "masks/0.png", size=(30, 30))
    cache = open_cache(root, tmp_path / "cache")
    errors = list(cache.facts["error"])
    assert [bool(error) for error in errors] == [False, True, True, True, False, False]
    assert str(root / "no/1.png") in errors[1]
    assert str(root / "no/2.png") in errors[2]
    assert "30 x 30" in errors[3]
    assert str(root / "masks/0.png") in errors[3]
    assert not cache.images[1].any()
    np.testing.assert_array_equal(cache.has_mask(np.arange(6)), [False, False, False, False, True, False])
    expected, _ = PREPROCESS(decode(root / "no/0.png").pixels)
    np.testing.assert_array_equal(cache.images[0], expected)


def test_a_missing_mask_is_an_error_row(root, tmp_path):
    record = {"path": "yes/0.png", "label": 1, "mask": "masks/gone.png"}
    catalog = Catalog.from_records([record], root=root).with_content()
    cache = ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    assert "gone.png" in cache.facts["error"].iat[0]


def test_a_set_of_broken_scans_alone_can_be_opened(tmp_path):
    (tmp_path / "no").mkdir()
    (tmp_path / "no/0.png").write_bytes(b"")
    cache = open_cache(tmp_path, tmp_path / "cache")
    assert "0.png" in cache.facts["error"].iat[0]
    assert cache.images.shape == (1, 24, 24)
    assert cache.facts["phash"].isna().all()


def test_a_scan_that_is_mended_is_read_again(root, tmp_path):
    good = (root / "no/1.png").read_bytes()
    (root / "no/1.png").write_bytes(b"")
    assert open_cache(root, tmp_path / "cache").facts["error"].iat[1]
    (root / "no/1.png").write_bytes(good)
    assert not open_cache(root, tmp_path / "cache").facts["error"].iat[1]


def test_the_area_of_a_pixel_follows_the_spacing_of_each_scan(root, tmp_path):
    catalog = catalog_of(root)
    spacings = ["", "0.5", "0.5 x 3", "", "", "2"]
    cache = ScanCache.open(
        replace(catalog, table=catalog.table.assign(spacing=spacings)), PREPROCESS, folder=tmp_path / "cache"
    )
    in_scan = np.array([np.nan, 0.25, 1.5, np.nan, np.nan, 4])
    for row, file in enumerate(catalog.files()):
        geometry = PREPROCESS(decode(file).pixels)[1]
        in_scan[row] *= geometry.frame_height * geometry.frame_width / 24**2
    rows = np.array([5, 2, 0, 1])
    area = cache.pixel_area(rows)
    assert area.dtype == np.float32
    np.testing.assert_allclose(area, in_scan[rows], rtol=1e-6)


def test_without_any_spacing_areas_are_unknown(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    assert np.isnan(cache.pixel_area(np.arange(6))).all()
    assert cache.pixel_area(np.arange(0)).shape == (0,)


def test_another_spacing_never_meets_the_old_areas(root, tmp_path):
    catalog = catalog_of(root)
    for spacing in ("", "1", "2"):
        spaced = replace(catalog, table=catalog.table.assign(spacing=spacing))
        ScanCache.open(spaced, PREPROCESS, folder=tmp_path / "cache")
    assert len(built(tmp_path / "cache")) == 3


def test_slices_are_mapped_from_disk_and_cannot_be_written(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    for array in (cache.images, cache.masks, cache.thumbnails):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_crash_in_the_middle_leaves_nothing_behind_and_the_next_job_builds(root, tmp_path, monkeypatch, error):
    def crash(file: Path, channel: str) -> DecodedImage:
        if file.name == "2.png":
            raise error("power cut")
        return decode(file)

    with monkeypatch.context() as patch:
        patch.setattr(prepared_module, "decode", crash)
        with pytest.raises(error, match="power cut"):
            open_cache(root, tmp_path / "cache")
    assert built(tmp_path / "cache") == []
    assert (open_cache(root, tmp_path / "cache").facts["error"] == "").all()
    assert len(built(tmp_path / "cache")) == 1


def test_jobs_that_start_together_build_one_good_cache_once(root, tmp_path, monkeypatch):
    log = tmp_path / "decoded.txt"

    def logging_decode(file: Path, channel: str) -> DecodedImage:
        with log.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        return decode(file)

    monkeypatch.setattr(prepared_module, "decode", logging_decode)
    fork = multiprocessing.get_context("fork")
    start, results = fork.Barrier(3), fork.Queue()

    def job() -> None:
        start.wait(timeout=30)
        results.put(int(open_cache(root, tmp_path / "cache").images.sum()))

    jobs = [fork.Process(target=job) for _ in range(3)]
    for process in jobs:
        process.start()
    sums = {results.get(timeout=60) for _ in jobs}
    for process in jobs:
        process.join(timeout=30)
        assert process.exitcode == 0
    assert sums == {int(open_cache(root, tmp_path / "cache").images.sum())}
    assert len(log.read_text().splitlines()) == 6
    assert len(built(tmp_path / "cache")) == 1


def test_a_blank_scan_is_broken_and_named(root, tmp_path):
    Image.new("L", (48, 60), 255).save(root / "no/1.png")
    error = open_cache(root, tmp_path / "cache").facts["error"]
    assert list(error != "") == [False, True, False, False, False, False]
    assert error[1].startswith(f"{root / 'no/1.png'}: The scan is blank")


def test_masks_go_with_a_scan_that_its_file_turns(root, tmp_path):
    upright = open_cache(root, tmp_path / "cache")
    scan, exif = Image.open(root / "yes/0.png"), Image.Exif()
    exif[0x0112] = 6
    scan.transpose(Image.Transpose.ROTATE_90).save(root / "yes/0.png", exif=exif)
    turned = open_cache(root, tmp_path / "cache")
    np.testing.assert_array_equal(turned.images, upright.images)
    np.testing.assert_array_equal(turned.masks, upright.masks)


@pytest.mark.parametrize("name", ["no/1.png", "masks/0.png"])
def test_an_error_that_passes_ends_the_job_and_is_not_kept(root, tmp_path, monkeypatch, name):
    read = Path.read_bytes

    def failing(file: Path) -> bytes:
        if file == root / name:
            raise OSError(errno.EMFILE, "Too many open files")
        return read(file)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(ReadError, match=rf"{name} cannot be read now \(Too many open files\)"):
            open_cache(root, tmp_path / "cache")
    assert built(tmp_path / "cache") == []
    assert (open_cache(root, tmp_path / "cache").facts["error"] == "").all()


@pytest.mark.parametrize("name", ["no/0.png", "masks/0.png"])
def test_what_could_not_be_read_at_the_start_says_why_in_this_job_alone(root, tmp_path, name):
    hidden = (root / name).rename(tmp_path / "hidden.png")
    catalog = catalog_of(root)
    if name == "no/0.png":
        records = [{"path": name, "label": 0}, *catalog.table.drop(columns="content").to_dict("records")]
        catalog = Catalog.from_records(records, root=root).with_content()
    row = 0 if name == "no/0.png" else 3
    catalog.table.loc[3, "mask"] = "masks/0.png"
    cache = ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    assert "does not exist" in cache.facts["error"][row]
    assert not cache.images[row].any()
    hidden.rename(root / name)
    cache = ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    # a scan without a hash in its catalog has no slice in any cache; a mask's hash is looked for each time
    assert ("start again" in cache.facts["error"][0]) == (name == "no/0.png")
    assert (open_cache(root, tmp_path / "cache").facts["error"] == "").all()


@pytest.mark.parametrize("size", [1_000, 3_000, 6_000])
def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(root, tmp_path, size):
    """A limit on the size of files, in a process of its own: writing beyond it fails as on a full disk."""
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()

    def job() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            open_cache(root, tmp_path / "cache")
        except MriadError as error:
            results.put(str(error))
        else:
            results.put("")

    process = fork.Process(target=job)
    process.start()
    error = results.get(timeout=60)
    process.join(timeout=30)
    assert process.exitcode == 0
    assert f"The 6 prepared scans, 1 MB, cannot be kept in {tmp_path / 'cache' / 'slices'}" in error
    assert "data.cache_dir" in error
    assert built(tmp_path / "cache") == []


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "thumbnails.npy", "facts.parquet"])
@pytest.mark.parametrize("left", [0, 100, 300])
def test_a_cache_that_was_cut_short_is_made_anew(root, tmp_path, name, left):
    whole = open_cache(root, tmp_path / "cache")
    expected = np.array(whole.images), np.array(whole.masks)
    (folder,) = built(tmp_path / "cache")
    os.truncate(folder / name, left)
    cache = open_cache(root, tmp_path / "cache")
    np.testing.assert_array_equal(cache.images, expected[0])
    np.testing.assert_array_equal(cache.masks, expected[1])
    assert len(cache.facts) == len(cache.thumbnails) == 6


def test_what_a_killed_job_left_is_cleared(root, tmp_path):
    open_cache(root, tmp_path / "cache")
    (pack,) = built(tmp_path / "cache")
    gone, alive = (pack.with_name(f"part-{pid}-abc") for pid in (2**22 + 1, os.getpid()))
    pack.rename(gone)
    shutil.copytree(gone, alive)
    open_cache(root, tmp_path / "cache")
    assert built(tmp_path / "cache") == [pack]
    assert (gone.exists(), alive.exists()) == (False, True)


def test_one_more_scan_is_one_more_to_prepare(root, tmp_path, decoded):
    open_cache(root, tmp_path / "cache")
    write_scan(root / "no/1b.png", 5)
    write_scan(root / "yes/1b.png", 6)
    write_mask(root / "masks/1b.png")
    decoded.clear()
    cache = open_cache(root, tmp_path / "cache")
    assert decoded == ["1b.png", "1b.png"]
    fresh = open_cache(root, tmp_path / "another")
    rows = np.array([7, 2, 0, 5, 2])
    np.testing.assert_array_equal(cache.images[rows], fresh.images[rows])
    np.testing.assert_array_equal(cache.images[2], fresh.images[2])
    np.testing.assert_array_equal(np.array(cache.thumbnails), fresh.thumbnails)
    np.testing.assert_array_equal(cache.has_mask(np.arange(8)), fresh.has_mask(np.arange(8)))
    masked = np.flatnonzero(fresh.has_mask(np.arange(8)))[::-1]
    np.testing.assert_array_equal(cache.masks_of(masked), fresh.masks_of(masked))
    assert (len(cache.images), cache.images.shape, cache.masks.shape) == (8, (8, 24, 24), (3, 24, 24))
    pd.testing.assert_frame_equal(cache.facts[fresh.facts.columns], fresh.facts, check_dtype=False)


def test_data_sets_share_what_they_have_in_common(root, tmp_path, decoded):
    whole = open_cache(root, tmp_path / "cache")
    decoded.clear()
    part = catalog_of(root).table.iloc[[4, 1]].drop(columns="content").to_dict("records")
    catalog = Catalog.from_records(part, root=root).with_content()
    cache = ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    assert decoded == []
    np.testing.assert_array_equal(cache.images[:], whole.images[[1, 4]])
    np.testing.assert_array_equal(cache.masks_of(np.array([1])), whole.masks_of(np.array([4])))


def test_a_scan_that_cannot_be_used_is_named_where_it_lies_now(root, tmp_path):
    (root / "no/1.png").write_bytes(b"broken")
    open_cache(root, tmp_path / "cache")
    moved = root.rename(tmp_path / "moved")
    error = open_cache(moved, tmp_path / "cache").facts["error"].iat[1]
    assert str(moved / "no/1.png") in error


def test_processes_prepare_what_threads_do(root, tmp_path, monkeypatch):
    monkeypatch.setattr(prepared_module, "cpu_count", lambda: 2)
    (root / "yes/0.png").write_bytes(b"no image")
    open_cache(root, tmp_path / "threads")
    monkeypatch.setattr(prepared_module, "_FEW", 1)
    monkeypatch.setattr(prepared_module, "ThreadPoolExecutor", None)
    open_cache(root, tmp_path / "processes")
    threads, processes = (
        {file.name: file.read_bytes() for file in folder.glob("slices/*/pack-*/*")}
        for folder in (tmp_path / "threads", tmp_path / "processes")
    )
    assert len(threads) == 5
    assert threads == processes


def test_what_a_worker_process_cannot_read_ends_the_job_in_one_sentence(root, tmp_path, monkeypatch):
    monkeypatch.setattr(prepared_module, "cpu_count", lambda: 2)
    monkeypatch.setattr(prepared_module, "_FEW", 1)
    catalog = catalog_of(root)
    (root / "no/1.png").unlink()
    with pytest.raises(ReadError, match=r"no/1\.png does not exist"):
        ScanCache.open(catalog, PREPROCESS, folder=tmp_path / "cache")
    assert built(tmp_path / "cache") == []


def test_what_an_older_version_kept_of_patients_goes_and_the_rest_stays(root, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    with monkeypatch.context() as older:
        older.setattr(cache_module, "_VERSION", 7)
        open_cache(root, folder)
        open_cache(root, folder, replace(PREPROCESS, crop="none"))
    named, other = sorted(folder.glob("slices/*/pack-*"))
    facts = pd.read_parquet(named / "facts.parquet")
    facts.assign(patient=["MRN4711", *[""] * (len(facts) - 1)]).to_parquet(named / "facts.parquet")
    for preprocess in (PREPROCESS, replace(PREPROCESS, crop="none")):
        assert "patient" not in open_cache(root, folder, preprocess).facts
    assert not named.exists() and other.exists()
