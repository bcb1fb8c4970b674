import pytest
from volumes import oblique, voxels, write_dicom

from mriad.data.reading.dicom import find_series, read_dicom
from mriad.errors import MriadError

GRID = oblique(shape=(4, 8, 8), spacing=(3, 1, 1))
VALUES = voxels(GRID.shape)


@pytest.fixture
def study(tmp_path):
    for number, name in ((3, "t1 mprage"), (12, "t2 flair"), (5, "t2 tse")):
        write_dicom(
            tmp_path / name, VALUES + number, GRID, SeriesNumber=number, SeriesDescription=name, StudyInstanceUID="1.2"
        )
    return tmp_path


def test_series_are_found_in_order_of_their_numbers(study):
    found = find_series(study)
    assert [one.facts.series for one in found] == ["t1 mprage", "t2 tse", "t2 flair"]
    assert [len(one.files) for one in found] == [4, 4, 4]


def test_several_series_are_listed_not_guessed(study):
    with pytest.raises(MriadError, match="holds 3 series") as caught:
        read_dicom(study)
    assert "3 't1 mprage' (4 images); 5 't2 tse' (4 images); 12 't2 flair' (4 images)" in str(caught.value)


@pytest.mark.parametrize(("wanted", "number"), [("3", 3), ("FLAIR", 12), ("t2 tse", 5), ("12", 12), ("uid", 5)])
def test_a_series_is_chosen_by_number_words_or_uid(study, wanted, number):
    wanted = find_series(study)[1].facts.series_uid if wanted == "uid" else wanted
    scan = read_dicom(study, series=wanted)
    assert scan.facts.series_number == str(number)
    assert scan.levels.min() == VALUES.min() + number


def test_a_choice_of_none_or_several_is_told(study):
    with pytest.raises(MriadError, match="several match series=t2: 5 't2 tse'"):
        read_dicom(study, series="t2")
    with pytest.raises(MriadError, match="none of them series=dwi"):
        read_dicom(study, series="dwi")


@pytest.mark.parametrize(
    ("tag", "values", "contrasts"),
    [
        ("EchoTime", (14, 98), ["echo time 14", "echo time 98"]),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), ["image type original primary m"]),
        ("InversionTime", (400, 900), ["inversion time 400"]),
        ("DiffusionBValue", (0.0, 1000.0), ["b-value 0", "b-value 1000"]),
    ],
)
def test_images_that_share_a_place_are_told_apart(tmp_path, tag, values, contrasts):
    for folder, value in zip("ab", values, strict=True):
        own = {tag: value, "SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
        write_dicom(tmp_path / folder, VALUES, GRID, **own)
    found = find_series(tmp_path)
    assert len(found) == 2
    assert [one.contrast for one in found][: len(contrasts)] == contrasts


def test_reports_and_segmentations_are_passed_by(tmp_path):
    write_dicom(tmp_path / "a", VALUES, GRID)
    write_dicom(tmp_path / "b", VALUES, GRID, Modality="SEG", SeriesNumber=9)
    write_dicom(tmp_path / "c", VALUES, GRID, Rows=None, Modality="SR")
    assert [one.label for one in find_series(tmp_path)] == ["3 't1 mprage'"]
