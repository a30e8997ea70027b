"""The HTML pages in a real browser: sorting, filtering, opening a student, phones, accessibility.

Needs Playwright and a Chromium of the system (`apt install chromium`), or the one of Playwright.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from samples import HOSTILE, class_of, verdict

from grader import records as r
from grader.report import FORMATS
from grader.report.interface import Context

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without its sandbox where the tests run as root."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        path = found or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("there is no Chromium on this machine")
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page of this text offline; whatever it writes to the console or asks for is a failure."""
    complaints: list[str] = []
    contexts = []

    def open_page(html: str, width: int = 1280, scheme: str = "light", script: bool = True) -> Any:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True,
            java_script_enabled=script,
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda q: None if q.url.startswith("file:") else complaints.append(q.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def small(full: r.Grade, make: Callable[..., r.Grade]) -> r.ClassResults:
    """Three graded students and one without: points 97.5, 5 and 30."""
    few = make(points=5, status="not_passed", verdicts=(verdict("fail"),))
    more = make(
        points=30,
        status="not_passed",
        needs_review=True,
        verdicts=(verdict("borderline", needs_review=True),),
    )
    return class_of([full, few, more, None])


def page_of(results: r.ClassResults) -> str:
    return FORMATS["html"].many(results, Context())


def names(page: Any) -> list[str]:
    """Numbers of the students in the rows that are shown, in order."""
    return page.eval_on_selector_all(
        "#class tbody tr",
        "rows => rows.filter(r => !r.hidden).map(r => r.cells[0].textContent.trim().split(' ')[1])",
    )


def test_sorting(opened: Callable[..., Any], small: r.ClassResults) -> None:
    """A head sorts, once more the other way; numbers as numbers; assistive technology is told."""
    page = opened(page_of(small))
    head = page.locator("#class thead th", has_text="points").first
    button = head.get_by_role("button")
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page) == ["4", "2", "3", "1"]
    button.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page) == ["1", "3", "2", "4"]
    assert page.locator("th[aria-sort]").count() == 1


def test_filtering(opened: Callable[..., Any], small: r.ClassResults) -> None:
    """By name, by result and by what needs a look; the count is announced."""
    page = opened(page_of(small))
    page.get_by_label("Name").fill("S2")
    assert names(page) == ["2"]
    assert page.locator("#shown").inner_text() == "1 of 4 shown"
    page.get_by_label("Name").fill("")
    page.get_by_label("Result").select_option("not_passed")
    assert names(page) == ["2", "3"]
    page.get_by_label("needs a look").check()
    assert names(page) == ["3"]


def test_opening_a_student(opened: Callable[..., Any], small: r.ClassResults) -> None:
    """A click shows the student's page alone and moves the focus; back returns to the class."""
    page = opened(page_of(small))
    page.locator("#class").get_by_role("link", name="Student, 2").click()
    page.wait_for_function("document.activeElement.tagName === 'H1'")
    assert page.locator("article.student:visible h1").all_inner_texts() == ["Student, 2"]
    assert not page.locator("#class").is_visible()
    page.locator("article.student:visible").get_by_role("link", name="Next").click()
    assert page.locator("article.student:visible h1").inner_text() == "Student, 3"
    page.go_back()
    page.go_back()
    assert page.locator("#class").is_visible()


def test_without_javascript(opened: Callable[..., Any], small: r.ClassResults) -> None:
    """Students can be opened all the same; what cannot work is not shown."""
    page = opened(page_of(small), script=False)
    assert not page.locator(".filters").is_visible()
    page.locator("#class").get_by_role("link", name="Student, 1").click()
    assert page.locator("article.student:visible").count() == 1


@pytest.mark.parametrize("width", [380, 1280])
def test_no_horizontal_scroll(opened: Callable[..., Any], small: r.ClassResults, width: int) -> None:
    """The class and every student fit the width of a phone, with long words too."""
    long = {
        "submission": "x" * 300,
        "rubric": "y" * 200,
        "verdicts": (verdict("fail", title="t" * 200, message="z" * 900),),
    }
    assert small.entries[0].grade is not None
    grade = small.entries[0].grade.model_copy(update=long)
    wide = r.Entry(student=r.Student(id="s5", name="W" * 200), grade=grade)
    page = opened(page_of(small.model_copy(update={"entries": (*small.entries, wide)})), width)
    measure = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(measure) == 0
    for anchor in ("student-1", "student-5"):
        page.evaluate(f"location.hash = '{anchor}'")
        page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
        assert page.evaluate(measure) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("anchor", ["", "#student-1"])
def test_accessibility(opened: Callable[..., Any], small: r.ClassResults, scheme: str, anchor: str) -> None:
    """axe-core finds nothing, contrast included, in light and in dark."""
    page = opened(page_of(small), scheme=scheme)
    page.evaluate(f"location.hash = '{anchor}'")
    page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    found = axe.Axe().run(page)
    assert [(v["id"], v["nodes"][0]["html"]) for v in found.response["violations"]] == []


def test_accessibility_of_the_students_page(opened: Callable[..., Any], full: r.Grade) -> None:
    """The same of the page that a student gets, on a phone."""
    page = opened(FORMATS["html"](full, Context()), 380)
    found = axe.Axe().run(page)
    assert [(v["id"], v["nodes"][0]["html"]) for v in found.response["violations"]] == []


def test_hostile_text_runs_nothing(opened: Callable[..., Any], everywhere: Callable[[str], r.Grade]) -> None:
    """A class of hostile students loads nothing, runs nothing and changes nothing."""
    page = opened(page_of(class_of([everywhere(text) for text in HOSTILE])))
    page.on("dialog", lambda dialog: pytest.fail("a script of a submission ran"))
    assert page.locator("#class tbody tr").count() == len(HOSTILE)
    assert page.locator("script").count() == 1
    assert page.locator("img, iframe, object").count() == 0


def test_print(opened: Callable[..., Any], small: r.ClassResults) -> None:
    """Printed, the class has no controls and black ink on white, in dark mode too."""
    page = opened(page_of(small), scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf()[:4] == b"%PDF"
