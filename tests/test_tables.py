import os

import pandas as pd
import pytest

from mriad.tables import guarded, printable, unguarded, write_csv

TEMPTING = ["=1+1.png", "+a", "-a", "@a", "\tb", "\r=c", "\n=d", "\uff1de", " =f", "'=g", "''-h", "-", "'+"]
PLAIN = ["a=b.png", "'quoted'.png", "scan -1.png", "", "'", " a", "p/=a.png", "ä.png"]


@pytest.mark.parametrize("text", TEMPTING)
def test_no_cell_begins_as_a_formula_and_its_text_is_read_back(text):
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_any_other_text_stays_as_it_is(text):
    assert guarded(text) == unguarded(text) == text


def test_a_table_is_written_without_formulas_and_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"path": ["=a", "b,c"], "=n": [-1, 2], "score": [-0.5, float("nan")], "kind": ["-x", None]})
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "path,'=n,score,kind\n'=a,-1,-0.5,'-x\n\"b,c\",2,,\n"
    assert list(pd.read_csv(tmp_path / "t.csv")["path"].map(unguarded)) == ["=a", "b,c"]


def test_bytes_that_are_no_utf8_are_written_as_what_they_are(tmp_path):
    name = os.fsdecode(b"sc\xffn.png")
    assert printable(name) == guarded(name) == r"sc\xffn.png"
    write_csv(pd.DataFrame({"path": pd.Series([name], dtype=object)}), tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv")["path"][0] == r"sc\xffn.png"
    assert printable("\ud800") == r"\ud800"
