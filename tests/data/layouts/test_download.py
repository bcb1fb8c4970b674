import sys
from types import SimpleNamespace

import pytest

from mriad.data.layouts import br35h, navoneel, nickparvar
from mriad.data.layouts.download import kaggle_folder
from mriad.errors import MriadError

HANDLE = "someone/brain-scans"


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """A stand-in for kagglehub that has every data set in one folder and notes what was asked for."""
    folder = tmp_path / "kagglehub/versions/1"
    asked = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        return str(folder)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    return SimpleNamespace(folder=folder, asked=asked)


def test_a_folder_with_images_is_used_as_it_is(tmp_path, kaggle, write_image):
    write_image(tmp_path / "mine/no/a.png")
    assert kaggle_folder(HANDLE, root=tmp_path / "mine", download=True) == tmp_path / "mine"
    assert kaggle.asked == []


@pytest.mark.parametrize("root", [None, "missing", "empty"])
def test_where_no_images_are_kaggle_is_asked(tmp_path, kaggle, root):
    (tmp_path / "empty").mkdir()
    root = root and tmp_path / root
    assert kaggle_folder(HANDLE, root=root, download=True) == kaggle.folder
    assert kaggle.asked == [HANDLE]


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (
            None,
            r"data\.root is not set: point data\.root at .*someone/brain-scans.* or set data\.download=true",
        ),
        ("missing", r"There is no folder /.*/missing: point data\.root at .* or set data\.download=true"),
        ("empty", r"The folder /.*/empty holds no images: point data\.root at .* or set data\.download=true"),
        ("file", r"There is no folder /.*/file: "),
    ],
)
def test_nothing_is_fetched_unasked(tmp_path, kaggle, root, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(MriadError, match=message):
        kaggle_folder(HANDLE, root=root and tmp_path / root, download=False)
    assert kaggle.asked == []


def test_a_relative_root_starts_at_the_working_directory(tmp_path, monkeypatch, write_image):
    write_image(tmp_path / "mine/no/a.png")
    monkeypatch.chdir(tmp_path)
    assert kaggle_folder(HANDLE, root="mine", download=False) == tmp_path / "mine"


def test_without_kagglehub_the_user_learns_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MriadError, match=r"pip install 'mriad\[download\]'"):
        kaggle_folder(HANDLE, root=None, download=True)


def test_a_failed_download_is_told_in_one_sentence(monkeypatch):
    def dataset_download(handle: str) -> str:
        raise ConnectionError("name not resolved\nfollowed by\na long story")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    with pytest.raises(MriadError, match=r"could not be fetched \(name not resolved\): check the network") as caught:
        kaggle_folder(HANDLE, root=None, download=True)
    assert "\n" not in str(caught.value)


def test_a_failure_without_words_is_told_by_its_kind(monkeypatch):
    def dataset_download(handle: str) -> str:
        raise TimeoutError

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    with pytest.raises(MriadError, match=r"could not be fetched \(TimeoutError\)"):
        kaggle_folder(HANDLE, root=None, download=True)


@pytest.mark.parametrize(
    ("layout", "handle", "scan"),
    [
        (navoneel, "navoneel/brain-mri-images-for-brain-tumor-detection", "no/a.jpg"),
        (nickparvar, "masoudnickparvar/brain-tumor-mri-dataset", "Training/notumor/a.jpg"),
        (br35h, "ahmedhamada0/brain-tumor-detection", "no/a.jpg"),
    ],
)
def test_each_kaggle_layout_fetches_its_own_data_set(kaggle, write_image, layout, handle, scan):
    write_image(kaggle.folder / scan)
    catalog = layout(root=None, download=True)
    assert kaggle.asked == [handle]
    assert catalog.files() == [kaggle.folder / scan]
