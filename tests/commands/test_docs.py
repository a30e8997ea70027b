"""The documentation: every example runs, generated pages are current, the site builds without a warning."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import records as r
from grader.ask import description
from grader.ask.asker import Asker
from grader.grade.examine import recipe_of
from grader.intake import load
from grader.judge.checks import CHECKS, MEASURED
from grader.judge.rubric import Rubric
from grader.report import FORMATS
from grader.report.interface import Context, Format

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CRITERIA = (DOCS / "criteria.md").read_text(encoding="utf-8")
BEGINNING = "import keras\nfrom keras import layers\n"


def sections() -> dict[str, str]:
    """Text of the page by kind of criterion."""
    parts = re.split(r"^## (\w+)\n", CRITERIA, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples() -> Iterator[tuple[str, str, str]]:
    """Kind, expected outcome and text of each example."""
    for kind, text in sections().items():
        for title, body in re.findall(r'```\w+ title="(\w+)"\n(.*?)```', text, flags=re.DOTALL):
            yield kind, {"passes": "pass", "fails": "fail"}.get(title, title), body


def rubric_of(kind: str) -> Rubric:
    """The rubric whose one criterion is the page's."""
    (settings,) = re.findall(r"```toml\n(.*?)```", sections()[kind], flags=re.DOTALL)
    criterion = {"id": "it", "points": 10, **tomllib.loads(settings)}
    return Rubric.model_validate({"title": kind, "criterion": [criterion]})


STRUCTURAL = [(kind, outcome, body) for kind, outcome, body in examples() if kind not in MEASURED]
RETRAINED = [(kind, outcome, body) for kind, outcome, body in examples() if kind in MEASURED]


@pytest.fixture(scope="module")
def described(asker: Asker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, r.DescribedModel]:
    """The page's models by their code: one script with all of them, described once, in a box."""
    folder = tmp_path_factory.mktemp("page")
    work = folder / "work.py"
    bodies = [re.sub(r"\bmodel\b", f"model_{n}", body) for n, (_, _, body) in enumerate(STRUCTURAL)]
    work.write_text(BEGINNING + "\n".join(bodies))
    found = description.describe(load.load(work, folder), asker, 180)
    assert found.failures == ()
    models = {model.name: model for model in found.models}
    return {body: models[f"model_{n}"] for n, (_, _, body) in enumerate(STRUCTURAL)}


@pytest.mark.parametrize(("kind", "outcome", "body"), STRUCTURAL, ids=[f"{k}-{o}" for k, o, _ in STRUCTURAL])
def test_structural_examples(
    described: dict[str, r.DescribedModel], subject: Callable[..., Any], kind: str, outcome: str, body: str
) -> None:
    """The code on the page is described and judged as the page says."""
    rubric, model = rubric_of(kind), described[body]
    recipe, source = recipe_of(model, rubric)
    cells = (r.Cell(kind="code", source=body),)
    seen = subject(of=model.network, recipe=recipe, own_recipe=source == "submission", cells=cells)
    finding = CHECKS[kind](rubric.criterion[0], seen)
    assert finding.result == outcome, finding.message
    if kind == "parameter_limit":
        said = re.findall(r"[Ww]ith ([\d,]*\d)", sections()[kind])
        assert f"{seen.analysis.total:,}" in said
        assert outcome == "pass" or "holds 25,120 of 25,450" in finding.hint


@pytest.mark.parametrize(("kind", "outcome", "body"), RETRAINED, ids=[f"{k}-{o}" for k, o, _ in RETRAINED])
def test_retrained_examples(
    subject: Callable[..., Any], run: Callable[..., r.TrainingRun], kind: str, outcome: str, body: str
) -> None:
    """Runs with these counts of correct images are judged as the page says."""
    runs = tuple(run([int(x) for x in line.split()]) for line in body.strip().splitlines())
    criterion = rubric_of(kind).criterion[0]
    assert CHECKS[kind](criterion, subject(r.Flatten(name="flat"), runs=runs)).result == outcome


def test_every_kind_has_examples() -> None:
    """One that passes and one that fails of each, but of what is left to a person."""
    found = {(kind, outcome) for kind, outcome, _ in examples()}
    assert set(sections()) == set(CHECKS)
    for kind in set(CHECKS) - {"manual"}:
        assert {(kind, "pass"), (kind, "fail")} <= found


def test_generated_pages_are_current() -> None:
    """`--help` and the pages of commands and rubrics say the same: they are made of the same objects."""
    pages = runpy.run_path(str(ROOT / "scripts" / "make_docs.py"))["PAGES"]
    for name, page in pages.items():
        assert (DOCS / name).read_text(encoding="utf-8") == page(), f"{name}: run `make docs`"


def test_every_format_is_documented() -> None:
    """In the table of reports."""
    page = (DOCS / "reports.md").read_text(encoding="utf-8")
    assert [name for name in FORMATS if f"`{name}`" not in page] == []


def extension(path: str) -> str:
    """The module that the page on extending shows under this path."""
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf'```python title="{path}"\n(.*?)```', page, flags=re.DOTALL)
    return str(code)


def test_the_new_check_works(
    subject: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's check of 20 lines, as it stands there."""
    code = extension("grader/judge/checks/strided.py")
    (tmp_path / "page_check.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    page_check = importlib.import_module("page_check")
    strided = r.Conv2D(name="conv", filters=4, kernel_size=(3, 3), strides=(2, 2))
    criterion = page_check.Strided(id="a", kind="strided")
    assert page_check.check(criterion, subject(strided)).result == "pass"
    plain = strided.model_copy(update={"strides": (1, 1)})
    assert page_check.check(criterion, subject(plain)).result == "fail"
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_the_new_format_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's report format, as it stands there."""
    (tmp_path / "page_format.py").write_text(extension("grader/report/brief.py"))
    monkeypatch.syspath_prepend(tmp_path)
    brief = Format(".txt", one=importlib.import_module("page_format").render)
    graded = r.Grade.model_validate_json((ROOT / "examples/grades/3-bn-dropout-schedule.json").read_text())
    assert brief(graded, Context()) == "3-bn-dropout-schedule: passed, 100 of 100 points"


def test_the_site_builds(tmp_path: Path) -> None:
    """Warnings, such as a link that leads nowhere, are errors."""
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "site" / "platforms" / "index.html").read_text()
    assert "Gradescope" in html
    assert not re.search(r'(src|href)="https://fonts', html)
