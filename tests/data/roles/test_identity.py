import pandas as pd

from mriad.data.roles.identity import marks, new_key, one_id_each

TEXTS = pd.Series(["P1", "", "P1", "scans/Müller.png"], index=[3, 1, 4, 0])


def test_marks_tell_equal_texts_and_nothing_else():
    key = new_key()
    found = marks(TEXTS, kind="patient", key=key)
    assert list(found.index) == list(TEXTS.index)
    assert found[3] == found[4] != found[0]
    assert found[1] == ""
    assert {len(mark) for mark in found if mark} == {32}
    assert "P1" not in "".join(found)
    pd.testing.assert_series_equal(found, marks(TEXTS, kind="patient", key=key))


def test_marks_of_another_key_or_kind_cannot_be_compared():
    key = new_key()
    found = [marks(TEXTS, kind=kind, key=secret)[3] for secret in (key, new_key()) for kind in ("patient", "path")]
    assert len(set(found)) == 4


def test_without_a_key_texts_stay_as_they_are():
    assert marks(TEXTS, kind="path", key=None) is TEXTS


def test_a_patient_of_several_ids_has_a_row_for_each():
    scans = pd.DataFrame({"patient": ["P1 = P7", "P2", ""], "content": list("abc")})
    each = one_id_each(scans)
    assert list(each["patient"]) == ["P1", "P7", "P2", ""]
    assert list(each.index) == [0, 0, 1, 2]
