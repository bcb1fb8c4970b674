import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from PIL import Image
from whole_heads import save

from mriad.data.reading.read import read_scan
from mriad.data.reading.scan import Facts, Scan
from mriad.disk import written_whole
from mriad.geometry import ScanGeometry, VolumeGeometry
from mriad.prediction.predictor import Prediction
from mriad.prediction.scan_files import ScanFile
from mriad.writing import maps as of_maps
from mriad.writing.maps import MapFolder

LEVELS = np.arange(64, dtype=np.uint8).reshape(8, 8)
CALIBRATION = SimpleNamespace(map_scale=(0.0, 1.0), pixel_threshold=0.5)


def prediction(value=0.25):
    geometry = ScanGeometry.plan((8, 8), (0, 0, 8, 8), square=True, image_size=8)
    return Prediction(score=1.0, threshold=0.5, working_map=np.full((8, 8), value, dtype=np.float32), geometry=geometry)


def maps(output, *scans):
    return MapFolder(output, scans=[ScanFile(path=Path(scan)) for scan in scans], calibration=CALIBRATION)


def write(folder, path, levels, found):
    return folder.write(ScanFile(path=path), Scan.of_picture(levels, facts=Facts(format="PNG")), found)


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_maps_have_the_paths_of_their_scans_from_where_all_lie(tmp_path):
    folder = maps(tmp_path, "/data/p1/a.png", "/data/p2/a.png")
    assert write(folder, Path("/data/p1/a.png"), LEVELS, prediction(0.25)) == ""
    assert write(folder, Path("/data/p2/a.png"), LEVELS, prediction(0.75)) == ""
    places = [f"maps/{part}/a.png.{kind}" for part in ("p1", "p2") for kind in ("map.tiff", "overlay.png")]
    assert files(tmp_path) == places
    assert np.asarray(Image.open(tmp_path / places[0])).tolist() == [[0.25] * 8] * 8


def test_no_map_leaves_the_folder_whatever_the_path_of_its_scan(tmp_path, monkeypatch):
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "deep")
    scans = [Path("../../scans/a.png"), Path("../b.png"), Path("c/../d.png"), tmp_path / "e.png"]
    folder = maps(Path("out"), *scans)
    assert [write(folder, scan, LEVELS, prediction()) for scan in scans] == [""] * 4
    assert files(tmp_path) == sorted(
        f"work/deep/out/maps/{name}.{kind}"
        for name in ("scans/a.png", "work/b.png", "work/deep/d.png", "e.png")
        for kind in ("map.tiff", "overlay.png")
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [("n" * 249 + ".png", "File name too long"), ("a.png", "No space left on device"), ("b.png", "has its name")],
)
def test_a_map_that_cannot_be_written_costs_nothing_else(tmp_path, monkeypatch, name, told):
    scan = tmp_path / name
    folder = maps(tmp_path / "out", scan, tmp_path / "good.png", tmp_path / "B.png")

    def full(file):
        if file.name.startswith("a.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written_whole(file)

    monkeypatch.setattr(of_maps, "written_whole", full)
    if name == "b.png":  # on a disk that knows no letter case, as B.png
        write(folder, tmp_path / "B.png", LEVELS, prediction())
        for file in (tmp_path / "out" / "maps").iterdir():
            os.link(file, file.with_name(file.name.lower()))
    said = write(folder, scan, LEVELS, prediction())
    assert said.startswith("its map cannot be written (") and told in said
    assert write(folder, tmp_path / "good.png", LEVELS, prediction()) == ""
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_map_whose_name_is_no_utf8_is_written(tmp_path):
    scan = Path(os.fsdecode(os.fsencode(tmp_path) + b"/sc\xffn.png"))
    assert write(maps(tmp_path / "out", scan), scan, LEVELS, prediction()) == ""
    assert len(files(tmp_path / "out")) == 2


def test_an_earlier_map_is_replaced(tmp_path):
    for value in (0.25, 0.75):
        assert write(maps(tmp_path, "/a.png"), Path("/a.png"), LEVELS, prediction(value)) == ""
    assert np.asarray(Image.open(tmp_path / "maps" / "a.png.map.tiff"))[0, 0] == 0.75


def of_volume(file, top=0.75):
    """A volume, and a map on its own grid that is ``top`` in one voxel."""
    scan = read_scan(file)
    values = np.full(scan.grid.shape, 0.25, dtype=np.float32)
    values[20, 30, 10] = top
    geometry = VolumeGeometry(scan=scan.grid, working=scan.grid)
    return scan, Prediction(score=1.0, threshold=0.5, working_map=values, geometry=geometry)


def test_a_volume_has_map_and_mask_on_its_own_grid(tmp_path):
    file = save(tmp_path / "in" / "p1" / "head.nii.gz", code=2)
    folder = MapFolder(tmp_path / "out", scans=[ScanFile(path=file)], calibration=CALIBRATION)
    assert folder.write(ScanFile(path=file), *of_volume(file)) == ""
    assert files(tmp_path / "out") == ["maps/head_map.nii.gz", "maps/head_mask.nii.gz"]
    source, anomaly_map, mask = (nibabel.load(path) for path in (file, *sorted((tmp_path / "out" / "maps").iterdir())))
    assert anomaly_map.get_data_dtype() == np.float32 and mask.get_data_dtype() == np.uint8
    for image in (anomaly_map, mask):
        assert np.array_equal(image.affine, source.affine)
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 2)
    values = np.asarray(anomaly_map.dataobj)
    assert values[20, 30, 10] == 0.75 and values[0, 0, 0] == 0.25
    assert np.argwhere(np.asarray(mask.dataobj)).tolist() == [[20, 30, 10]]


def test_volumes_that_would_share_a_name_have_names_of_their_own(tmp_path):
    scans = [
        *(ScanFile(path=tmp_path / name) for name in ("a.nii.gz", "A.mha", "p/a.nii.gz", "p/b.v1.nii")),
        *(ScanFile(path=tmp_path / "study", series=series) for series in ("3", "t1 mprage")),
        ScanFile(path=tmp_path / "other", series="1.2.840"),
    ]
    names = list(of_maps._names(scans).values())
    assert names == ["a.nii.gz", "A.mha", "p/a", "p/b.v1", "study_3", "study_t1_mprage", "other"]


@pytest.mark.parametrize(("top", "suffix"), [(1.0, "probseg"), (1.5, "map")])
def test_scans_of_one_bids_data_set_get_derivatives(tmp_path, top, suffix):
    root = tmp_path / "ds 1"
    files_ = [save(root / f"sub-1/ses-2/anat/sub-1_ses-2_run-1_{kind}.nii.gz") for kind in ("T1w", "FLAIR")]
    scans = [ScanFile(path=file, bids=root) for file in files_]
    folder = MapFolder(tmp_path / "out", scans=scans, calibration=CALIBRATION)
    for scan in scans:
        assert folder.write(scan, *of_volume(scan.path, top)) == ""
    names = [f"sub-1/ses-2/anat/sub-1_ses-2_run-1_space-{kind}_label-L_desc-mriad" for kind in ("FLAIR", "T1w")]
    endings = sorted(f"_{kind}.{ending}" for kind in (suffix, "mask") for ending in ("json", "nii.gz"))
    assert files(tmp_path / "out") == ["dataset_description.json", *(name + end for name in names for end in endings)]
    said = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert said["DatasetType"] == "derivative" and said["GeneratedBy"][0]["Name"] == "mriad"
    assert said["SourceDatasets"] == [{"URL": root.as_uri()}]
    beside = json.loads((tmp_path / "out" / f"{names[1]}_mask.json").read_text())
    assert beside["Type"] == "Lesion"
    assert beside["Sources"] == ["bids:raw:sub-1/ses-2/anat/sub-1_ses-2_run-1_T1w.nii.gz"]


def test_scans_of_two_data_sets_lie_in_maps(tmp_path):
    files_ = [save(tmp_path / root / "sub-1/anat/sub-1_T1w.nii.gz") for root in ("one", "two")]
    scans = [ScanFile(path=file, bids=tmp_path / root) for file, root in zip(files_, ("one", "two"), strict=True)]
    folder = MapFolder(tmp_path / "out", scans=scans, calibration=CALIBRATION)
    assert [folder.write(scan, *of_volume(scan.path)) for scan in scans] == ["", ""]
    assert len(list((tmp_path / "out" / "maps").rglob("*_map.nii.gz"))) == 2
