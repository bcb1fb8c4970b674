import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mriad.audit.audit import Audit
from mriad.audit.features import CATEGORIES_OF_VOLUMES, FEATURES, OF_VOLUMES
from mriad.data.datamodule import MRIDataModule
from mriad.data.layouts import folder
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.roles.splits import AllTest, GroupedSplit

from .conftest import picture


def audit_of(held, /, **changes):
    parts = {field.name: getattr(held, field.name) for field in dataclasses.fields(held)}
    return Audit.measure(data="test", published=False, **parts | changes)


@pytest.fixture(scope="session")
def clean_audit(clean):
    return audit_of(clean)


@pytest.fixture(scope="session")
def leaky_audit(leaky):
    return audit_of(leaky)


@pytest.fixture
def root(tmp_path):
    """30 healthy scans, six of them alike in twos, and 20 anomalous ones that are wider."""
    for seed in range(30):
        save(tmp_path / "scans" / "healthy" / f"{seed:02}.png", picture(seed % 27))
    for seed in range(20):
        save(tmp_path / "scans" / "tumour" / f"{seed:02}.jpg", np.pad(picture(100 + seed), ((0, 0), (0, 20))))
    return tmp_path / "scans"


def save(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(file)


def module(root, split):
    datamodule = MRIDataModule(
        name="mine",
        layout=folder,
        root=root,
        image_size=32,
        preprocess=Preprocess(image_size=32, crop="none"),
        split=split,
        cache_dir=root.parent / "cache",
        drop_identical=False,
    )
    datamodule.setup()
    return datamodule


@dataclasses.dataclass(frozen=True)
class TrainIsTested:
    """Every healthy scan trains, and all are tested."""

    published = True

    def __call__(self, table):
        roles = [("train", table.index[table["label"] == 0]), ("test", table.index)]
        return pd.concat([pd.DataFrame({"row": rows, "group": rows.astype(str), "role": role}) for role, rows in roles])


def test_a_data_module_is_audited(root):
    datamodule = module(root, GroupedSplit(group="none"))
    audit = Audit.of(datamodule)
    assert audit.data == "mine" and not audit.published
    assert audit.counts == {
        f"{role} {name}": len(datamodule.rows(role, label))
        for role in ("train", "val", "test")
        for label, name in enumerate(("healthy", "anomalous"))
        if len(datamodule.rows(role, label))
    }
    assert audit.clusters == 3 and audit.largest_cluster == 2 and audit.repeated == pytest.approx(6 / 50)
    raw = audit.features[audit.features["stage"] == "raw"].set_index("feature")
    assert raw["auroc"]["format"] == raw["auroc"]["width"] == raw["auroc"]["aspect_ratio"] == 1
    assert raw["sign"]["width"] == "+" and raw["auroc"]["height"] == 0.5
    assert set(audit.features["feature"]) == set(FEATURES) - {*OF_VOLUMES, *CATEGORIES_OF_VOLUMES} | {"format"}


def test_a_protocol_that_tests_what_it_trained_on_leaks_whole(root):
    audit = Audit.of(module(root, TrainIsTested()))
    assert audit.published and audit.level == "unsound"
    assert audit.leaked == (30, 30)
    assert "100 % of the healthy test scans (30 of 30)" in audit.verdict
    nearest = audit.features[audit.features["feature"] == "nearest_train"]
    assert set(nearest["auroc"]) == {1.0} and set(nearest["stage"]) == {"raw", "scaled"}
    assert audit.repeated == pytest.approx(6 / 50)  # a scan in two roles is one scan


def test_without_train_what_needs_it_is_left_out(root):
    audit = Audit.of(module(root, AllTest(group="none")))
    assert "nearest_train" not in set(audit.features["feature"])
    assert audit.leaked is None and "audit/leaked_share" not in audit.metrics()
    assert (
        audit.verdict
        == f"Without any model: AUROC 1.000 from the {FEATURES[audit.best['feature']]} of the original images."
    )


def test_features_are_those_of_the_test_scans_alone(clean, clean_audit):
    facts = clean.facts.copy()
    facts.loc[clean.scans["role"] != "test", ["mean", "p99", "height"]] = 123.0
    pd.testing.assert_frame_equal(audit_of(clean, facts=facts).features, clean_audit.features)


def test_scans_may_stand_in_any_order(leaky, leaky_audit):
    shuffled = audit_of(leaky, scans=leaky.scans.sample(frac=1, random_state=0))
    assert shuffled.as_record() == leaky_audit.as_record()


def test_the_best_feature_stands_first_and_in_the_verdict(clean_audit):
    best = clean_audit.features.iloc[0]
    assert best["auroc"] == clean_audit.features["auroc"].max() > 0.6
    assert clean_audit.metrics()["audit/trivial_auroc"] == best["auroc"]
    where = {"raw": "of the original images", "scaled": "after scaling"}[best["stage"]]
    assert clean_audit.verdict == (
        f"Without any model: AUROC {best['auroc']:.3f} from the {FEATURES[best['feature']]} {where}. "
        "None of the 10 healthy test scans has a near-duplicate in train."
    )


def test_leaks_are_counted_in_the_verdict(leaky_audit):
    assert leaky_audit.leaked == (3, 5)
    assert leaky_audit.verdict.endswith("60 % of the healthy test scans (3 of 5) have a near-duplicate in train.")
    assert leaky_audit.metrics()["audit/leaked_share"] == 0.6
    assert leaky_audit.metrics()["audit/near_duplicates"] == 6 / 24


@pytest.mark.parametrize(("duplicated", "told"), [(1, "Less than 1 % "), (5, "2 % "), (300, "100 % ")])
def test_few_leaks_are_not_rounded_to_none(leaky_audit, duplicated, told):
    audit = dataclasses.replace(leaky_audit, duplicates=leaky_audit.duplicates.assign(scans=300, duplicated=duplicated))
    assert f". {told}of the healthy test scans ({duplicated} of 300) have" in audit.verdict


def test_a_known_patient_in_two_roles_leaks(clean):
    patients = np.array([""] * 55, dtype=object)
    patients[[3, 40]] = "a"  # a train scan and a healthy test scan, not alike
    audit = audit_of(clean, scans=clean.scans.assign(patient=patients))
    assert audit.leaked == (1, 10) and audit.clusters == 0
    assert "(1 of 10) have a near-duplicate or a scan of the same patient in train." in audit.verdict


@pytest.mark.parametrize(("kept", "word"), [(0, "healthy"), (1, "anomalous")])
def test_one_label_alone_has_no_auroc(clean, kept, word):
    scans = clean.scans[(clean.scans["role"] != "test") | (clean.scans["label"] == kept)]
    audit = audit_of(clean, scans=scans)
    assert audit.features.empty and audit.best is None
    assert audit.verdict.startswith(f"No AUROC can be had: all test scans are {word}.")
    assert "audit/trivial_auroc" not in audit.metrics()


def test_without_test_there_is_no_auroc_either(clean):
    audit = audit_of(clean, scans=clean.scans[clean.scans["role"] != "test"])
    assert audit.verdict == "No AUROC can be had: no scan is tested."


@pytest.mark.parametrize(
    ("auroc", "duplicated", "level"),
    [
        (0.69, 0, "sound"),
        (0.70, 0, "doubtful"),
        (0.69, 1, "doubtful"),
        (0.69, 5, "doubtful"),
        (0.69, 6, "unsound"),
        (0.80, 0, "unsound"),
    ],
)
def test_the_level_follows_the_better_known_of_two_faults(clean_audit, auroc, duplicated, level):
    features = clean_audit.features.assign(auroc=[auroc] + [0.5] * (len(clean_audit.features) - 1))
    duplicates = clean_audit.duplicates.assign(scans=100, duplicated=duplicated)
    assert dataclasses.replace(clean_audit, features=features, duplicates=duplicates).level == level


def test_metrics_sum_up_what_the_tables_tell(clean_audit):
    metrics = clean_audit.metrics()
    assert metrics["audit/trivial_auroc"] == clean_audit.features["auroc"].max()
    assert set(metrics) <= {
        f"audit/{name}" for name in ("trivial_auroc", "leaked_share", "near_duplicates", "clusters", "largest_cluster")
    }
    assert all(isinstance(value, float) for value in metrics.values())


def test_outliers_are_named_by_path(clean):
    thumbnails = clean.thumbnails.copy()
    thumbnails[33] = np.indices((16, 16)).sum(axis=0) % 2 * 255
    first = audit_of(clean, thumbnails=thumbnails).outliers.iloc[0]
    assert (first["path"], first["role"], first["class"]) == ("scan033.png", "val", "tumour")


def test_the_record_is_plain_json(leaky_audit):
    record = json.loads(json.dumps(leaky_audit.as_record(), allow_nan=False))
    assert record["verdict"] == leaky_audit.verdict and record["level"] == "unsound"
    assert pd.DataFrame(record["features"]).equals(leaky_audit.features)
    assert record["counts"] == {
        "train healthy": 10,
        "val healthy": 2,
        "val anomalous": 2,
        "test healthy": 5,
        "test anomalous": 5,
    }
