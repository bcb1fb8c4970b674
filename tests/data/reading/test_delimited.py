import csv

import pytest

from mriad.data.reading.delimited import read_delimited

COLUMNS = ("path", "label", "spacing")


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, encoding="utf-8"):
        (tmp_path / "list.csv").write_bytes(text.encode(encoding))
        return read_delimited(tmp_path / "list.csv", COLUMNS)

    return write_and_read


@pytest.mark.parametrize("divider", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_are_divided_by_what_divides_the_header(read, divider, encoding, end):
    lines = ['path;label;"spacing"', "ä.png;0;", "", "b c.png ;1; 0.5"]
    table = read(end.join(lines).replace(";", divider), encoding)
    assert table.header == ["path", "label", "spacing"]
    assert [row for _, row in table.rows] == [["ä.png", "0", ""], ["b c.png", "1", "0.5"]]
    assert table.divider == divider


def test_lines_are_counted_as_an_editor_does(read):
    assert [line for line, _ in read("path;label\na;0\n\nb;1\n").rows] == [2, 4]
    assert [line for line, _ in read("sep=;\npath;label\na;0\n").rows] == [3]


def test_other_dividers_may_stand_in_a_cell(read):
    assert read("path;label;spacing\na,b\t|.png;1;0,5\n").rows == [(2, ["a,b\t|.png", "1", "0,5"])]
    assert read('path,label\n"a;b,c.png",1\n').rows == [(2, ["a;b,c.png", "1"])]
    assert read("label\tpath\n0\t\n1\tb\n").rows == [(2, ["0", ""]), (3, ["1", "b"])]


def test_a_single_column_is_one(read):
    assert read("path\na.png\n").header == ["path"]
    assert read("").header == [] == read("").rows


@pytest.mark.parametrize("raw", ["path,label\nä.png,0".encode("latin-1"), b'path,label\n"a' + b"x" * 200000])
def test_what_is_no_text_is_an_error(tmp_path, raw):
    (tmp_path / "list.csv").write_bytes(raw)
    with pytest.raises((UnicodeDecodeError, csv.Error)):
        read_delimited(tmp_path / "list.csv", COLUMNS)
