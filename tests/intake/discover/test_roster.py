"""Rosters as platforms and spreadsheets write them, and who is who on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.errors import InstructorError
from grader.intake.discover import roster
from grader.records import Student


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id,name,email\n11,Ann Li,ann@x.org\n12,Ben May,b@x.org\n", "utf-8"),
        ("ID;Full name;Email address\r\n11;Ann Li;ann@x.org\r\n12;Ben May;b@x.org\r\n", "utf-8-sig"),
        ("First Name\tLast Name\tSID\tEmail\nAnn\tLi\t11\tann@x.org\nBen\tMay\t12\tb@x.org\n", "utf-16"),
        (
            'Student,ID,SIS Login ID,Section,"CNN (77)"\n    Points Possible,,,,10\n'
            '"Li, Ann",11,ann@x.org,A,\n"May, Ben",12,b@x.org,A,\n',
            "utf-8-sig",
        ),
    ],
)  # fmt: skip
def test_rosters(tmp_path: Path, text: str, encoding: str) -> None:
    """Commas, semicolons and tabs; a mark at the beginning; names in one column or two, or turned round."""
    (tmp_path / "r.csv").write_bytes(text.encode(encoding))
    people = roster.read(tmp_path / "r.csv")
    assert [p.student.id for p in people] == ["11", "12"]
    assert all("ann li" in p.called for p in people[:1])
    found = [(Student(id="ann-li", name="Ann Li"), {}), (Student(id="x", name="x"), {"user": "12"})]
    matched, missing = roster.match(found, people)
    assert {own: p.student.id for own, p in matched.items()} == {"ann-li": "11", "x": "12"}
    assert missing == ()


def test_who_handed_in_nothing(tmp_path: Path) -> None:
    """Who is on it and was not found; a name that two have fits neither."""
    (tmp_path / "r.csv").write_text("id,name\n1,Ann Li\n2,Ann Li\n3,Cy\n", encoding="utf-8")
    people = roster.read(tmp_path / "r.csv")
    matched, missing = roster.match([(Student(id="ann-li", name="Ann Li"), {})], people)
    assert matched == {}
    assert [p.student.id for p in missing] == ["1", "2", "3"]


def test_umlauts_of_an_old_spreadsheet(tmp_path: Path) -> None:
    """Written in the code page of Windows; found under a name without accents."""
    (tmp_path / "r.csv").write_bytes("Name;E-Mail\nJosé Müller;j@x.org\n".encode("cp1252"))
    people = roster.read(tmp_path / "r.csv")
    assert people[0].student.name == "José Müller"
    matched, _ = roster.match([(Student(id="jose-muller", name="jose muller"), {})], people)
    assert matched["jose-muller"].student.email == "j@x.org"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x00"])
def test_no_roster(tmp_path: Path, text: str) -> None:
    """It says which columns it looks for."""
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(InstructorError, match=r"names no column|no CSV"):
        roster.read(tmp_path / "r.csv")
    with pytest.raises(InstructorError, match="cannot be read"):
        roster.read(tmp_path / "none.csv")
