import pytest

from mriad.data.layouts import synthetic_volumes
from mriad.errors import MriadError

FEW = {"healthy_subjects": 1, "diseased_subjects": 0, "spacing": 4.0, "seed": 0}


def test_heads_are_made_below_the_root_in_the_contrast_that_is_asked_for(tmp_path):
    catalog = synthetic_volumes(root=tmp_path, contrast="FLAIR", **FEW)
    assert catalog.root.parent == tmp_path
    assert list(catalog.table["path"]) == ["healthy/control-0001_FLAIR.nii.gz"]
    assert catalog.files()[0].is_file()


def test_a_root_must_be_named():
    with pytest.raises(MriadError, match=r"data\.root is not set"):
        synthetic_volumes(root=None, contrast="T1", **FEW)
