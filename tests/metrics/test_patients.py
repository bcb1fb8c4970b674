import pandas as pd

from mriad.metrics.image import image_metrics
from mriad.metrics.patients import patient_table


def scores(patients, labels, values, decisions):
    return pd.DataFrame(
        {
            "path": [f"{row}.nii.gz" for row in range(len(labels))],
            "patient": patients,
            "group": [f"g{patient}" for patient in patients],
            "class": ["glioma" if label else "healthy" for label in labels],
            "label": labels,
            "score": values,
            "decision": decisions,
        }
    )


def test_a_patient_is_as_strange_as_the_strangest_scan_and_anomalous_where_one_scan_is():
    table = scores(["b", "a", "b", "c", "b"], [0, 0, 1, 1, 0], [0.1, 0.2, 0.3, 0.9, 0.7], [0, 0, 0, 1, 1])
    found = patient_table(table)
    assert found["patient"].tolist() == ["b", "a", "c"]
    assert found["score"].tolist() == [0.7, 0.2, 0.9]
    assert found["label"].tolist() == [1, 0, 1]
    assert found["decision"].tolist() == [1, 0, 1]
    assert found["class"].tolist() == ["glioma", "healthy", "glioma"]
    assert found["scans"].tolist() == [3, 1, 1]
    assert found["row"].tolist() == [0, 1, 3]
    assert found["group"].tolist() == ["gb", "ga", "gc"]
    assert image_metrics(found)["auroc"] == 1 > image_metrics(table)["auroc"]


def test_scans_of_unknown_patients_are_patients_of_their_own():
    table = scores(["", "a", "", "a"], [0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0])
    assert patient_table(table)["row"].tolist() == [0, 1, 2]


def test_patients_with_one_scan_each_have_no_table_of_their_own():
    assert patient_table(scores(["a", "b", ""], [0, 1, 1], [0.1, 0.2, 0.3], [0, 0, 0])) is None
    assert patient_table(scores([], [], [], [])) is None
