"""Reports of hand-built grades: everything is shown, and nothing a student wrote acts on a terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import ENDED, HOSTILE, OUTCOMES, PROBLEMS, STATUSES, unsafe, verdict

from grader import records as r
from grader.report import FORMATS
from grader.report.interface import Screen, line, plain

Run = Callable[..., r.TrainingRun]
Make = Callable[..., r.Grade]
Everywhere = Callable[[str], r.Grade]

WIDE = Screen(width=200)


def terminal(grade: r.Grade, screen: Screen = WIDE) -> str:
    return FORMATS["terminal"](grade, screen)


# --- terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "word"), STATUSES.items())
@pytest.mark.parametrize("review", [True, False])
def test_head(make: Make, status: str, word: str, review: bool) -> None:
    """Who, which rubric, the verdict and the points come first."""
    lines = terminal(make(status=status, needs_review=review)).splitlines()
    assert lines[:2] == ["alice.ipynb", "Assignment 4"]
    asked = "  — a person should look at this one" if review else ""
    assert lines[2] == f"{word}, 97.5 of 100 points{asked}"


def test_all_words_are_known(full: r.Grade) -> None:
    """The tables of this file leave out no status, outcome, end of a run or kind of problem."""
    for record, name, words in (
        (r.Grade, "status", STATUSES),
        (r.Verdict, "outcome", OUTCOMES),
        (r.TrainingRun, "ended", ENDED),
        (r.Problem, "kind", PROBLEMS),
    ):
        assert set(record.model_fields[name].annotation.__args__) == set(words)  # type: ignore[union-attr]


@pytest.mark.parametrize(("outcome", "word"), OUTCOMES.items())
def test_criteria(make: Make, outcome: str, word: str) -> None:
    """A row for each criterion: title, verdict, points, evidence."""
    text = terminal(make(verdicts=(verdict(outcome),)))
    (row,) = [x for x in text.splitlines() if x.startswith("the ")]
    assert row.split("  ")[0] == f"the {outcome} one"
    assert f" {word} " in row
    assert "2.5/10" in row
    assert row.endswith(f"said of {outcome}")


def test_optional_criteria(make: Make) -> None:
    """Which criteria are optional is shown."""
    assert "the fail one (optional)" in terminal(make(verdicts=(verdict("fail", required=False),)))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_hints(make: Make, outcome: str) -> None:
    """What would help is listed for everything but a pass."""
    text = terminal(make(verdicts=(verdict(outcome, hint="do that"),)))
    assert (f"What would help:\n  the {outcome} one: do that" in text) is (outcome != "pass")


def test_hot_spots(make: Make) -> None:
    """Of a parameter limit, the layers that hold the most are listed; of other kinds no evidence is."""
    spots = (r.Evidence(text="total 1"), r.Evidence(text="conv holds 90 (90%)", layer="conv"))
    shown = terminal(make(verdicts=(verdict("fail", kind="parameter_limit", evidence=spots),)))
    assert "    conv holds 90 (90%)" in shown
    assert "total 1" not in shown
    assert "conv holds" not in terminal(make(verdicts=(verdict("fail", evidence=spots),)))


@pytest.mark.parametrize(("kind", "head"), PROBLEMS.items())
def test_problem(make: Make, kind: str, head: str) -> None:
    """Whose fault it was, what happened, the line of code and the hint."""
    problem = r.Problem.model_validate(
        {"kind": kind, "message": "it broke\nin two lines", "hint": "mend it", "excerpt": "x = (\ny = 1"}
    )
    text = terminal(make(problem=problem))
    assert f"{head}\n  it broke\n  in two lines\n    > x = (\n    > y = 1\n  mend it" in text


def test_runs(full: r.Grade) -> None:
    """A row for each attempt: seed, best epoch, correct images, last, epochs, end, time."""
    text = terminal(full)
    assert "Retrained on CPU, 2 threads (keras):" in text
    start = text.index("Retrained on")
    rows = {x.split()[1]: x.split() for x in text[start:].splitlines() if x.strip()[:1].isdigit()}
    for number, (ended, words) in enumerate(ENDED.items(), 1):
        told = ["–", "–", "–", "0"] if ended == "diverged" else ["2", "9,942/10,000", "9,919", "3"]
        time = "0:00" if ended == "diverged" else "0:30"
        assert rows[str(2018 + number)] == [str(number), str(2018 + number), *told, *words.split(), time]


def test_claims(full: r.Grade) -> None:
    """Each claim with what was found and whether they agree."""
    text = terminal(full)
    assert "  the summary says 10,524; built 49,220: CONTRADICTED\n    Run it again." in text
    assert "  the log reaches epoch 20; trains for 20: agrees" in text
    assert "  accuracy 0.9950; stopped: not compared" in text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("submission", "as handed in"),
        ("compile", "compiled as handed in"),
        ("rubric", "the rubric's default"),
    ],
)
def test_model(full: r.Grade, source: str, words: str) -> None:
    """The network and the recipe, with all fits added up, and where the recipe comes from."""
    assert full.model is not None
    model = full.model.model_copy(update={"recipe_source": source})
    text = terminal(full.model_copy(update={"model": model}))
    assert "Model 'model': 13,880 parameters, 13,688 of them trainable, 1 layers" in text
    assert (
        f"Recipe ({words}): Adam, learning rate 0.003 to 0.001, batch size 128, 25 epochs, 2 fits, "
        "categorical_crossentropy" in text
    )


def test_constant_rate(full: r.Grade, recipe: Callable[..., r.TrainingRecipe]) -> None:
    """A constant learning rate is told once."""
    assert full.model is not None
    model = full.model.model_copy(update={"recipe": (recipe(learning_rates=(0.01,) * 20),)})
    assert "learning rate 0.01, batch" in terminal(full.model_copy(update={"model": model}))


def test_notes(make: Make, full: r.Grade) -> None:
    """Notes with their cells; of very many the first dozen and a count."""
    assert "Notes:\n  cell 4: a shell line was skipped\n  read as rows and columns" in terminal(full)
    many = terminal(make(notes=tuple(r.Note(message=f"note {n}") for n in range(15))))
    assert "note 11\n  and 3 more (see --json)" in many
    assert "note 12" not in many


def test_provenance(make: Make, full: r.Grade) -> None:
    """What is needed to reproduce the verdict closes the report."""
    tail = terminal(full).splitlines()[-2:]
    assert tail[0].strip() == "SHA-256 submission aaaaaaaaaaaa, rubric bbbbbbbbbbbb, mnist cccccccccccc"
    assert tail[1].strip() == "seeds 2019, 2020; grader 0.1, keras 3.12; isolation: separate process"
    unread = make().provenance.model_copy(update={"submission_digest": ""})
    assert "submission unread" in terminal(make(provenance=unread))


def test_bare_grade_has_no_empty_sections(make: Make) -> None:
    """What there is nothing to say of is left out."""
    text = terminal(make())
    for head in ("What would help", "Retrained", "What the saved outputs claim", "Model", "Notes"):
        assert head not in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize("width", [20, 80, 100, 200])
def test_width(full: r.Grade, width: int) -> None:
    """Text is wrapped to the screen, as far as the columns of the tables allow."""
    wordy = verdict("fail", message="word " * 80, hint="word " * 80)
    long = full.model_copy(update={"verdicts": (wordy,), "model": None})
    assert max(map(len, terminal(long, Screen(width=width)).splitlines())) <= max(width, 104)


# --- colour -------------------------------------------------------------------------------------


def test_no_colour_unless_asked(full: r.Grade) -> None:
    """A pipe or a file gets no escape sequence; a terminal gets the same text with colours."""
    coloured = terminal(full, Screen(width=200, colour=True))
    assert "\x1b" not in terminal(full)
    for code, word in (
        ("31", "FAIL"),
        ("32", "pass"),
        ("35", "broken"),
        ("33", "CONTRADICTED"),
        ("1;33", "NEEDS A PERSON"),
    ):
        assert f"\x1b[{code}m{word}\x1b[0m" in coloured
    assert coloured.count("\x1b[0m") == coloured.count("\x1b") / 2


@pytest.mark.parametrize(
    ("status", "code"),
    [("passed", "1;32"), ("not_passed", "1;31"), ("structure_only", "1;32"), ("interrupted", "1;33")],
)
def test_colour_of_the_status(make: Make, status: str, code: str) -> None:
    """Green passes, red does not, yellow is open."""
    shown = terminal(make(status=status), Screen(colour=True))
    assert f"\x1b[{code}m{STATUSES[status]}\x1b[0m" in shown


# --- hostile text -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_hostile_text_on_the_terminal(everywhere: Everywhere, text: str) -> None:
    """No control, format or surrogate character gets through, and no line is longer than the screen."""
    shown = terminal(everywhere(text), Screen(width=100))
    assert unsafe(shown) == set()
    assert max(map(len, shown.splitlines())) <= 255
    assert not any(x.startswith("PASSED, 100") for x in shown.splitlines())


def test_harmless_text_stays(make: Make) -> None:
    """Letters of any script, mathematics and emoji are not touched."""
    assert plain("Größe 1×1 – 東京 λ 😀\n\tend") == "Größe 1×1 – 東京 λ 😀\n\tend"
    assert "Zoë’s 1×1 学生.ipynb" in terminal(make(submission="Zoë’s 1×1 学生.ipynb"))


@given(st.text())
def test_plain_is_safe_and_keeps_the_length(text: str) -> None:
    """Every unsafe character is replaced by one that shows it was there."""
    assert unsafe(plain(text)) <= {"\t"}
    assert len(plain(text)) == len(text)
    assert plain(plain(text)) == plain(text)


@given(st.text(), st.integers(1, 50))
def test_line_is_one_line(text: str, most: int) -> None:
    """A title or name takes one line of bounded length."""
    assert len(line(text, most)) <= most
    assert line(text, most).splitlines() in ([], [line(text, most)])


def test_lone_surrogates_do_not_reach_a_record() -> None:
    """Half a character cannot be written as UTF-8, so no record holds one."""
    assert r.Note(message="\udcff").message == "?"
    assert plain("\udcff") == "�"
