import logging
from pathlib import Path

import pytest

from mriad.data.layouts.contrasts import contrast_in, contrast_of, of_contrast
from mriad.errors import MriadError

ROOT = Path("/data")


def scan(path, contrast, *, patient="", session=""):
    return {"path": path, "contrast": contrast, "patient": patient, "session": session}


TWO_OF_EACH = [scan(f"{p}_{c}", c, patient=p) for p in ("p1", "p2") for c in ("FLAIR", "T1")]


def paths(records):
    return [record["path"] for record in records]


@pytest.mark.parametrize(
    ("name", "contrast"),
    [("T1w", "T1"), ("t1ce", "T1c"), ("T1WKS", "T1c"), ("T1Gd", "T1c"), ("flair", "FLAIR"), ("bold", ""), ("", "")],
)
def test_names_of_all_data_sets_mean_one_contrast(name, contrast):
    assert contrast_of(name) == contrast


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("p1_FLAIR", ("FLAIR", "p1")),
        ("T1", ("T1", "")),
        ("IXI013-HH-1212_T1", ("T1", "IXI013_HH_1212")),
        ("p1_T1_to_FLAIR", ("", "p1_T1_to_FLAIR")),
        ("start1", ("", "start1")),
    ],
)
def test_a_contrast_is_a_word_of_its_own(name, found):
    assert contrast_in(name) == found


def test_one_contrast_each_needs_no_choice():
    records = [scan("a", "T1", patient="p1"), scan("b", "FLAIR", patient="p2"), scan("c", "")]
    assert of_contrast(records, None, root=ROOT) == records


def test_several_contrasts_of_a_session_are_listed_and_none_is_guessed():
    with pytest.raises(
        MriadError, match=r"several contrasts, in all FLAIR \(2\), T1 \(2\): choose one.*data.contrast=FL"
    ):
        of_contrast(TWO_OF_EACH, None, root=ROOT)


def test_contrasts_of_two_sessions_are_no_choice():
    records = [scan("a", "T1", patient="p", session="1"), scan("b", "FLAIR", patient="p", session="2")]
    assert of_contrast(records, None, root=ROOT) == records


@pytest.mark.parametrize("asked", ["FLAIR", "flair", "t2f", ["FLAIR"]])
def test_a_contrast_may_be_called_as_in_any_data_set(asked):
    assert paths(of_contrast(TWO_OF_EACH, asked, root=ROOT)) == ["p1_FLAIR", "p2_FLAIR"]


def test_several_may_be_asked_for():
    assert len(of_contrast(TWO_OF_EACH, ["T1", "FLAIR"], root=ROOT)) == 4


def test_a_contrast_that_nobody_has_is_an_error_with_those_that_are_there():
    with pytest.raises(MriadError, match=r"No scan in /data .* contrast T2; there are FLAIR \(2\), T1 \(2\)"):
        of_contrast(TWO_OF_EACH, "T2", root=ROOT)


def test_names_that_mriad_does_not_know_are_compared_as_they_are():
    assert paths(of_contrast([scan("a", "T1rho"), scan("b", "T1")], "t1RHO", root=ROOT)) == ["a"]


def test_sessions_without_the_contrast_are_counted(caplog):
    with caplog.at_level(logging.WARNING):
        of_contrast(TWO_OF_EACH[:3], "T1", root=ROOT)
    assert "1 of 2 sessions in /data have no scan of the contrast T1" in caplog.text
