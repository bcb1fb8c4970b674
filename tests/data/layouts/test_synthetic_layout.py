import pytest

from mriad.data.layouts import synthetic
from mriad.errors import MriadError

SETTINGS = {"healthy_subjects": 2, "diseased_subjects": 1, "slices_per_subject": 1, "size": 128, "seed": 3}


def test_the_set_is_made_below_root_with_the_settings(tmp_path):
    catalog = synthetic(root=tmp_path, **SETTINGS)
    assert catalog.root.parent == tmp_path
    assert sorted(catalog.table["label"]) == [0, 0, 1]
    assert all(file.is_file() for file in catalog.files())


def test_a_tilde_is_the_home_of_the_user(monkeypatch):
    asked = []
    made = "mriad.data.synthetic.dataset.make_synthetic"
    monkeypatch.setattr(made, lambda root, **settings: asked.append((root, settings)))
    monkeypatch.setenv("HOME", "/somewhere")
    synthetic(root="~/cache", **SETTINGS)
    [(root, settings)] = asked
    assert str(root) == "/somewhere/cache"
    assert settings == SETTINGS


def test_without_a_root_there_is_no_place_for_it():
    with pytest.raises(MriadError, match=r"data\.root is not set"):
        synthetic(root=None, **SETTINGS)
