"""Files become programs, whatever wrote them; what cannot be read is the student's error."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader import claims
from grader.errors import BrokenError, InstructorError, StudentError, Unsupported
from grader.intake import parcel
from grader.intake.load import load
from grader.intake.readers import MAX_CELLS, MAX_OUTPUT
from grader.records import Cell, Program

CODE = "model = Sequential()\nmodel.fit(x, y)"


def notebook(*cells: dict[str, Any], **top: Any) -> str:
    """A notebook of nbformat 4 as JSON."""
    return json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": list(cells)} | top)


def code(source: str | list[str] = CODE, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {},
        "execution_count": 1,
        "source": source,
        "outputs": list(outputs),
    }


def stream(text: str | list[str]) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Program]:
    """Writes a file and loads it."""

    def write_and_load(name: str, content: str | bytes) -> Program:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(path, tmp_path / "scratch").program

    return write_and_load


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return target


# --- notebooks ----------------------------------------------------------------------------------


def test_notebook_cells_and_outputs(read: Callable[..., Program]) -> None:
    """Cells of nbformat 4 keep their order, kind, source and text output; raw cells are dropped."""
    program = read(
        "a.ipynb",
        notebook(
            {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "prose"]},
            code(["import keras\n", "print(1)"], stream(["one\n", "two\n"])),
            {"cell_type": "raw", "metadata": {}, "source": "raw"},
            code("x", {"output_type": "execute_result", "metadata": {}, "execution_count": 1,
                       "data": {"text/plain": ["[0.02, 0.994]"], "text/html": "<b>"}}),
            code("boom", {"output_type": "error", "ename": "E", "evalue": "e", "traceback": []}),
        ),
    )  # fmt: skip
    assert program.cells == (
        Cell(kind="markdown", source="# Title\nprose"),
        Cell(kind="code", source="import keras\nprint(1)", output="one\ntwo\n", execution_count=1),
        Cell(kind="code", source="x", output="[0.02, 0.994]", execution_count=1),
        Cell(kind="code", source="boom", output="", execution_count=1, raised="E: e"),
    )
    assert (program.name, program.model_file) == ("a.ipynb", None)


@pytest.mark.parametrize(
    ("metadata", "python"),
    [
        ({"language_info": {"name": "python", "version": "3.6.9"}}, "3.6.9"),
        ({"language_info": {"name": "python", "version": "3" * 99}}, "3" * 40),
        ({"language_info": "python"}, None),
        ({}, None),
    ],
)
def test_notebook_python_version(
    read: Callable[..., Program], metadata: dict[str, Any], python: str | None
) -> None:
    """The kernel's Python version is read from the metadata, cut to a sane length."""
    assert read("a.ipynb", notebook(code(), metadata=metadata)).python == python


V3_CELLS = [
    {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Results"]},
    {"cell_type": "markdown", "metadata": {}, "source": ["prose"]},
    {
        "cell_type": "code", "collapsed": False, "metadata": {}, "language": "python", "prompt_number": 1,
        "input": ["model.fit(\n", "x)"],
        "outputs": [
            {"output_type": "stream", "stream": "stdout", "text": ["val_acc: 0.9940\n"]},
            {"output_type": "pyout", "prompt_number": 1, "metadata": {}, "text": ["42"]},
        ],
    },
]  # fmt: skip


def test_notebook_of_nbformat_3(read: Callable[..., Program]) -> None:
    """A notebook of IPython 1 to 2: worksheets, `input`, `pyout`, headings."""
    program = read(
        "a.ipynb",
        json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
                    "worksheets": [{"metadata": {}, "cells": V3_CELLS}]}),
    )  # fmt: skip
    assert [c.kind for c in program.cells] == ["markdown", "markdown", "code"]
    assert program.cells[0].source == "## Results"
    assert program.cells[2].source == "model.fit(\nx)"
    assert program.cells[2].output == "val_acc: 0.9940\n\n42"


def test_notebook_of_nbformat_2(read: Callable[..., Program]) -> None:
    """A notebook of IPython 0.12: worksheets without metadata."""
    cell = {"cell_type": "code", "language": "python", "collapsed": False, "prompt_number": 1,
            "input": "model.fit(x)", "outputs": [{"output_type": "stream", "text": "fine"}]}  # fmt: skip
    program = read(
        "a.ipynb",
        json.dumps({"nbformat": 2, "metadata": {"name": "old"}, "worksheets": [{"cells": [cell]}]}),
    )
    assert program.cells == (Cell(kind="code", source="model.fit(x)", output="fine", execution_count=1),)


def test_notebook_of_nbformat_1(read: Callable[..., Program]) -> None:
    """The very first format: cells at the top, no metadata, no version number."""
    text, fit = {"cell_type": "text", "text": "prose"}, {"cell_type": "code", "code": "fit()"}
    program = read("a.ipynb", json.dumps({"cells": [text, fit]}))
    assert [c.source for c in program.cells if c.kind == "code"] == ["fit()"]


@pytest.mark.parametrize(
    "coloured",
    [
        "\x1b[1m\x1b[38;5;34m",
        "\x1b[?25l",
        "\x1b[2K\x1b[1A",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x08\x08",
    ],
)
def test_saved_output_is_plain(read: Callable[..., Program], coloured: str) -> None:
    """Colours, cursor movements, titles and backspaces are stripped from saved output."""
    output = f"Total params: {coloured}13,808\x1b[0m"
    assert read("a.ipynb", notebook(code(CODE, stream(output)))).cells[0].output == "Total params: 13,808"


def test_long_output_keeps_both_ends(read: Callable[..., Program]) -> None:
    """Of an endless log the beginning (the summary) and the end (the result) are kept."""
    output = "first" + "x" * MAX_OUTPUT + "last"
    kept = read("a.ipynb", notebook(code(CODE, stream(output)))).cells[0].output
    assert kept.startswith("first")
    assert kept.endswith("last")
    assert len(kept) <= MAX_OUTPUT + 1


@pytest.mark.parametrize(
    "content",
    [
        notebook(code(CODE)).replace('"nbformat": 4', '"nbformat": 99'),
        notebook(code(CODE)).replace('"metadata": {}', '"metadata": null'),
        notebook(code(CODE, {"output_type": "display_data", "data": None})),
        notebook(code(CODE, {"output_type": "stream", "text": 3}, 5, None)),
    ],
)
def test_what_does_not_matter_may_be_wrong(read: Callable[..., Program], content: str) -> None:
    """Only the cells' source and printed text are needed of a notebook."""
    assert read("a.ipynb", content).cells[0].source == CODE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# not JSON",
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"nbformat": 4, "nbformat_minor": 2, "metadata": {}}',
        b'{"nbformat": 4, "cells": 9' + b"9" * 5_000 + b"}",
        b'{"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": 3}',
        b'{"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [3]}',
        notebook(code(CODE, {"output_type": "stream", "text": 3})).encode()[:-20],
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
    ids=lambda content: str(content[:70]),
)
def test_unreadable_notebook(read: Callable[..., Program], content: bytes) -> None:
    """Whatever is wrong inside, the student is told which file, and to save it again."""
    with pytest.raises(StudentError, match=r"a\.ipynb is not a readable notebook") as caught:
        read("a.ipynb", content)
    assert "Jupyter" in caught.value.hint
    assert len(caught.value.message) <= 300


@pytest.mark.parametrize(
    "cells", [[], [{"cell_type": "markdown", "metadata": {}, "source": "only prose"}], [code("  \n")]]
)
def test_notebook_without_code(read: Callable[..., Program], cells: list[dict[str, Any]]) -> None:
    """A notebook without a line of code is told apart from an unreadable one."""
    with pytest.raises(StudentError, match=r"a\.ipynb holds no code"):
        read("a.ipynb", notebook(*cells))


def test_too_many_cells(read: Callable[..., Program]) -> None:
    """The number of cells and of all values is bounded; what exceeds it is no mistake of a student's."""
    many = [code("x = 1")] * (MAX_CELLS + 1)
    for name, text in {
        "a.py": "# %%\nx = 1\n" * (MAX_CELLS + 1),
        "a.ipynb": notebook(*many),
        "old.ipynb": json.dumps({"nbformat": 3, "worksheets": [{"cells": many}]}),
        "nested.ipynb": '{"cells": [' + "[]," * 2_000_000 + "[]]}",
    }.items():
        with pytest.raises(Unsupported, match=r"at most (5,000|2,000,000 lists and objects)"):
            read(name, text)


def test_too_many_bytes(tmp_path: Path) -> None:
    """The size of a file is looked at before it is read; a sparse one costs nothing."""
    path = tmp_path / "a.ipynb"
    with path.open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(Unsupported, match="64,000,001 bytes"):
        load(path, tmp_path / "scratch")


# --- scripts ------------------------------------------------------------------------------------


def test_script_is_one_cell(read: Callable[..., Program]) -> None:
    """A script without marks is a single cell."""
    assert read("a.py", "import keras\n\nx = 1\n").cells == (
        Cell(kind="code", source="import keras\n\nx = 1\n"),
    )


def test_script_divided_by_percent_marks(read: Callable[..., Program]) -> None:
    """`# %%` lines divide a script; joined again, its cells are the script."""
    text = "import keras\n# %% the model\nx = 1\n#%%\ny = 2  # %% no mark\n"
    cells = read("a.py", text).cells
    assert [c.source.splitlines()[0] for c in cells] == ["import keras", "# %% the model", "#%%"]
    assert "".join(c.source for c in cells) == text


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_empty_script(read: Callable[..., Program], content: bytes) -> None:
    """A script without text holds no code."""
    with pytest.raises(StudentError, match="holds no code"):
        read("a.py", content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_encodings(read: Callable[..., Program], encoding: str) -> None:
    """Windows editors write byte order marks and UTF-16: the text is the same."""
    marks = {"utf-16-le-bom": b"\xff\xfe", "utf-16-be-bom": b"\xfe\xff"}
    raw = marks.get(encoding, b"") + "name = 'é×'".encode(encoding.removesuffix("-bom"))
    assert read("a.py", raw).cells[0].source == "name = 'é×'"


def test_notebook_with_byte_order_mark(read: Callable[..., Program]) -> None:
    """A notebook that an editor saved with a byte order mark is still JSON."""
    assert read("a.ipynb", b"\xef\xbb\xbf" + notebook(code()).encode()).cells[0].source == CODE


def test_invalid_bytes_are_replaced(read: Callable[..., Program]) -> None:
    """A Latin-1 umlaut in a comment does not make a script unreadable."""
    assert read("a.py", b"x = 1  # gr\xfc\xdfe").cells[0].source == "x = 1  # gr\ufffd\ufffde"


# --- Markdown -----------------------------------------------------------------------------------


def test_markdown_blocks(read: Callable[..., Program]) -> None:
    """Python blocks are cells, a text block behind one is its output, prose is Markdown."""
    program = read(
        "a.md",
        "# My network\n\nprose\n\n```python\nx = 1\n```\n```text\nval_acc: 0.9940\n```\n"
        "more prose\n~~~ py\ny = 2\n~~~\n```\n[0.02, 0.99]\n```\n~~~output\nand more\n~~~\nthe end\n",
    )
    assert program.cells == (
        Cell(kind="markdown", source="# My network\n\nprose"),
        Cell(kind="code", source="x = 1", output="val_acc: 0.9940"),
        Cell(kind="markdown", source="more prose"),
        Cell(kind="code", source="y = 2", output="[0.02, 0.99]\nand more"),
        Cell(kind="markdown", source="the end"),
    )


@pytest.mark.parametrize("language", ["bash", "sh", "json", "console-session", "pythonx"])
def test_markdown_other_languages_are_no_cells(read: Callable[..., Program], language: str) -> None:
    """A block in another language is neither code, nor prose, nor output."""
    program = read("a.md", f"```python\nx = 1\n```\n```{language}\npip install keras\n```\n")
    assert program.cells == (Cell(kind="code", source="x = 1"),)


@pytest.mark.parametrize(
    "info", ["python", "Python", "py", "python3", "ipython3", "{.python}", "{python}", "python title='a b'"]
)
def test_markdown_names_of_python(read: Callable[..., Program], info: str) -> None:
    """Python goes by several names in the info string."""
    assert read("a.md", f"```{info}\nx = 1\n```\n").cells == (Cell(kind="code", source="x = 1"),)


def test_markdown_longer_fence_holds_shorter_ones(read: Callable[..., Program]) -> None:
    """A fence is closed only by one of its own kind that is at least as long."""
    program = read(
        "a.md",
        "````python\nx = '''\n```\n~~~~\n'''\n`````\n````markdown\n```python\nnot_a_cell = 1\n```\n````\n",
    )
    assert program.cells == (Cell(kind="code", source="x = '''\n```\n~~~~\n'''"),)


def test_markdown_indented_fence_does_not_close(read: Callable[..., Program]) -> None:
    """As in CommonMark, four spaces make a fence part of the code: a docstring may hold one."""
    body = 'def f():\n    """\n    ```\n    f()\n    ```\n    """'
    assert read("a.md", f"```python\n{body}\n   ```\n").cells == (Cell(kind="code", source=body),)


def test_markdown_open_fence_ends_with_the_file(read: Callable[..., Program]) -> None:
    """A block that is never closed reaches to the end."""
    assert read("a.md", "```python\nx = 1\ny = 2").cells == (Cell(kind="code", source="x = 1\ny = 2"),)


def test_markdown_text_block_before_any_code(read: Callable[..., Program]) -> None:
    """Text in front of the first code belongs to no cell."""
    program = read("a.md", "prose\n```\n0.9999\n```\n```python\nx = 1\n```\n")
    assert program.cells == (Cell(kind="markdown", source="prose"), Cell(kind="code", source="x = 1"))


def test_markdown_without_python(read: Callable[..., Program]) -> None:
    """A write-up without a Python block holds no code."""
    with pytest.raises(StudentError, match="holds no code"):
        read("a.markdown", "prose\n```bash\nls\n```\n")


# --- folders, zips, saved models ----------------------------------------------------------------


def make_folder(folder: Path, *names: str) -> Path:
    """A folder with these files in it; notebooks, scripts and write-ups build a network."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text({".ipynb": notebook(code()), ".md": f"```python\n{CODE}\n```"}.get(file.suffix, CODE))
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(params=["folder", "zip"])
def loaded_both_ways(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[..., tuple[Program, Path | None]]:
    """Loads a folder with some files, or a zip of it."""

    def make_and_load(*names: str) -> tuple[Program, Path | None]:
        path = make_folder(tmp_path / "alice", *names)
        if request.param == "zip":
            path = zipped(path, tmp_path / "alice.zip")
        loaded = load(path, tmp_path / "scratch")
        assert loaded.program.name == path.name
        return loaded.program, loaded.beside

    return make_and_load


def test_folder_with_one_notebook(loaded_both_ways: Callable[..., tuple[Program, Path | None]]) -> None:
    """The notebook is found below the folder, and the folder's other files go with it."""
    program, beside = loaded_both_ways("src/a.ipynb", "data.txt")
    assert program.cells[0].source == CODE
    assert beside is not None
    assert (beside / "data.txt").is_file()


def test_folder_with_leftovers(loaded_both_ways: Callable[..., tuple[Program, Path | None]]) -> None:
    """Checkpoints, caches and what macOS leaves behind are no submissions."""
    program, _ = loaded_both_ways(
        "a.ipynb",
        ".ipynb_checkpoints/a-checkpoint.ipynb",
        "__MACOSX/._a.ipynb",
        "__pycache__/b.ipynb",
        ".a.ipynb",
    )
    assert Path(program.path).name == "a.ipynb"


def test_folder_with_several_notebooks(
    loaded_both_ways: Callable[..., tuple[Program, Path | None]],
) -> None:
    """Several notebooks that build networks: which one is meant is not guessed."""
    with pytest.raises(StudentError, match=r"several files could be the submission: a\.ipynb, sub/b\.ipynb"):
        loaded_both_ways("a.ipynb", "sub/b.ipynb")


def test_folder_where_one_notebook_builds_a_network(tmp_path: Path) -> None:
    """Of several notebooks, the only one that builds and fits a network is the submission."""
    folder = make_folder(tmp_path / "alice", "z.ipynb")
    (folder / "a.ipynb").write_text(notebook(code("import this")))
    assert load(folder, tmp_path / "scratch").program.path.endswith("z.ipynb")


def test_folder_with_several_kinds(loaded_both_ways: Callable[..., tuple[Program, Path | None]]) -> None:
    """A notebook counts before a script, a saved model or a read-me."""
    program, _ = loaded_both_ways("README.md", "helpers.py", "model.h5", "history.json", "z.ipynb")
    assert Path(program.path).name == "z.ipynb"


def test_folder_with_model_and_readme(loaded_both_ways: Callable[..., tuple[Program, Path | None]]) -> None:
    """A saved model counts before the write-up beside it."""
    program, _ = loaded_both_ways("README.md", "model.keras")
    assert program.model_file is not None
    assert Path(program.model_file).name == "model.keras"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("model.json", "weights.h5"), "model.json"),
        (("model.yaml", "net.weights.h5"), "model.yaml"),
        (("whole.h5", "weights.hdf5"), "whole.h5"),
        (("a.ipynb", "weights.h5"), "a.ipynb"),
        (("script.py", "best.weights.h5"), "script.py"),
    ],
)
def test_weights_beside_the_network(tmp_path: Path, names: tuple[str, str], chosen: str) -> None:
    """What tells the network is the submission; that the weights are not used is noted."""
    folder = make_folder(tmp_path / "alice", *names)
    (folder / names[1]).write_bytes(b"\x89HDF\r\n\x1a\n layer_names")
    (folder / "package.json").write_text('{"name": "site"}')
    (folder / "environment.yml").write_text("dependencies: [keras]")
    for name, content in (
        ("model.json", '{"class_name": "Sequential"}'),
        ("model.yaml", "class_name: Model"),
    ):
        if name in names:
            (folder / name).write_text(content)
    if "whole.h5" in names:
        (folder / "whole.h5").write_bytes(b"\x89HDF\r\n\x1a\n model_config")
    program = load(folder, tmp_path / "scratch").program
    assert Path(program.model_file or program.path).name == chosen
    assert [note.message for note in program.notes] == [
        f"{names[1]} holds weights only: {chosen} describes the network, which is trained from scratch"
    ]


def test_settings_beside_a_write_up(tmp_path: Path) -> None:
    """`environment.yml` and `package.json` tell no network."""
    folder = make_folder(tmp_path / "alice", "README.md")
    (folder / "package.json").write_text('{"name": "site"}')
    (folder / "environment.yml").write_text("dependencies: [keras]")
    assert load(folder, tmp_path / "scratch").program.path.endswith("README.md")


def test_weights_alone(tmp_path: Path) -> None:
    """With nothing but a read-me beside it, a file of weights is what was handed in; its reader says more."""
    folder = make_folder(tmp_path / "alice", "README.md")
    (folder / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n layer_names")
    program = load(folder, tmp_path / "scratch").program
    assert (program.model_file or "").endswith("weights.h5")
    assert program.notes == ()


def test_empty_folder(loaded_both_ways: Callable[..., tuple[Program, Path | None]]) -> None:
    """An empty folder or zip is told so, with what to hand in."""
    with pytest.raises(StudentError, match=r"alice(\.zip)?: no submission in it") as caught:
        loaded_both_ways()
    assert ".ipynb" in caught.value.hint


def test_saved_model_folder(loaded_both_ways: Callable[..., tuple[Program, Path | None]]) -> None:
    """A SavedModel inside a folder or zip is the submission."""
    program, _ = loaded_both_ways("net/saved_model.pb", "net/variables/variables.index")
    assert program.model_file is not None
    assert Path(program.model_file).name == "net"
    assert program.cells == ()


def test_saved_model_itself(tmp_path: Path) -> None:
    """A SavedModel folder is a model, not a folder to search."""
    folder = make_folder(tmp_path / "net", "saved_model.pb", "helper.py")
    program = load(folder, tmp_path / "scratch").program
    assert Path(program.model_file or "").name == "net"
    assert program.cells == ()


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5", ".json", ".yaml", ".yml", ".H5"])
def test_model_files(read: Callable[..., Program], suffix: str) -> None:
    """A model file is passed on by its path and never opened here."""
    program = read(f"net{suffix}", b"anything")
    assert program.model_file is not None
    assert program.model_file.endswith(f"net{suffix}")


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """A link to a file elsewhere is no submission and is not read."""
    make_folder(tmp_path / "secret", "s.ipynb")
    folder = make_folder(tmp_path / "alice")
    (folder / "a.ipynb").symlink_to(tmp_path / "secret" / "s.ipynb")
    (folder / "sub").symlink_to(tmp_path / "secret")
    with pytest.raises(StudentError, match="no submission"):
        load(folder, tmp_path / "scratch")


def test_missing_path(tmp_path: Path) -> None:
    """A path that does not exist is the mistake of whoever typed it."""
    with pytest.raises(InstructorError, match=r"gone\.ipynb: no such file"):
        load(tmp_path / "gone.ipynb", tmp_path / "scratch")


@pytest.mark.parametrize("name", ["a.docx", "a.txt", "LICENSE"])
def test_wrong_suffix(read: Callable[..., Program], name: str) -> None:
    """Another kind of file is refused by name, with what is read instead."""
    with pytest.raises(StudentError, match=f"{name}: grader does not read") as caught:
        read(name, b"text")
    assert ".ipynb" in caught.value.hint


def test_corrupt_zip(read: Callable[..., Program]) -> None:
    """A file that only calls itself a zip is the student's error."""
    with pytest.raises(StudentError, match=r"a\.zip is not a readable zip"):
        read("a.zip", b"PK\x03\x04 and then nothing")


def test_undecodable_file_name(tmp_path: Path) -> None:
    """A script whose file name is no text is read all the same, and the record can be written."""
    path = tmp_path / "caf\udce9.py"
    path.write_text(CODE)
    program = load(path, tmp_path / "scratch").program
    assert program.name == "caf?.py"
    assert Program.model_validate_json(program.model_dump_json()) == program


def test_undecodable_name_of_a_model(tmp_path: Path) -> None:
    """A saved model could not be found again under such a name: it must be renamed."""
    path = tmp_path / "caf\udce9.h5"
    path.write_text("")
    with pytest.raises(StudentError, match=r"caf\?\.h5: the file's name"):
        load(path, tmp_path / "scratch")


def test_half_a_character(read: Callable[..., Program]) -> None:
    """A lone surrogate in a notebook's source or output does not stop the record from being written."""
    program = read("a.ipynb", notebook(code("x = '\ud800'", stream("\udfff"))))
    assert program.cells == (Cell(kind="code", source="x = '?'", output="?", execution_count=1),)
    assert Program.model_validate_json(program.model_dump_json()) == program


# --- digest -------------------------------------------------------------------------------------


def test_digest_of_a_file(read: Callable[..., Program]) -> None:
    """The digest is of the content, whatever the file is called."""
    one, same, other = read("a.py", "x = 1"), read("b.py", "x = 1"), read("c.py", "x = 2")
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 64


def test_what_is_digested_is_what_is_copied(tmp_path: Path) -> None:
    """Of a folder, row by row: what changes the digest is in the copy, and nothing else is."""
    folder = make_folder(tmp_path / "alice", "a.ipynb", "data.txt", "sub/helper.py")
    outside = make_folder(tmp_path / "outside", "secret.txt")

    def seen() -> tuple[str, dict[str, bytes]]:
        loaded = load(folder, tmp_path / "scratch")
        assert loaded.beside is not None
        files = [f for f in loaded.beside.rglob("*") if f.is_file()]
        return loaded.program.digest, {str(f.relative_to(loaded.beside)): f.read_bytes() for f in files}

    def write(name: str, text: str = "print('changed')") -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    changes: dict[str, Callable[[], object]] = {
        "content": lambda: write("data.txt"),
        "content below": lambda: write("sub/helper.py"),
        "a name": lambda: (folder / "data.txt").rename(folder / "data2.txt"),
        "a new file": lambda: write("more/new.py"),
        "a hidden file": lambda: write(".hidden.py"),
        "a hidden folder": lambda: write(".git/config"),
        "a hidden folder below": lambda: write("sub/.cache/x.py"),
        "compiled code": lambda: write("__pycache__/helper.cpython-311.pyc"),
        "compiled code below": lambda: write("sub/__pycache__/helper.cpython-311.pyc"),
        "what macOS leaves": lambda: write("__MACOSX/a.py"),
        "an empty folder": lambda: (folder / "empty").mkdir(),
        "permissions": lambda: (folder / "a.ipynb").chmod(0o755),
        "a link": lambda: (folder / "link.py").symlink_to(outside / "secret.txt"),
        "a folder that is a link": lambda: (folder / "linked").symlink_to(outside),
    }
    before, moved = seen(), {}
    for name, change in changes.items():
        change()
        after = seen()
        assert (after[0] == before[0]) == (after[1] == before[1]), name
        moved[name], before = after[0] != before[0], after
    assert [name for name, changed in moved.items() if changed] == list(changes)[:4]
    assert set(before[1]) == {"a.ipynb", "data2.txt", "sub/helper.py", "more/new.py"}


def test_the_same_files_as_folder_and_as_zip(tmp_path: Path) -> None:
    """Both leave out the same; what is run by them is the same."""
    folder = make_folder(tmp_path / "alice", "a.ipynb", "data.txt", ".env", "__pycache__/x.pyc")
    for path in (folder, zipped(folder, tmp_path / "alice.zip")):
        beside = load(path, tmp_path / "scratch").beside
        assert beside is not None
        assert sorted(f.name for f in beside.rglob("*")) == ["a.ipynb", "data.txt"]


def test_beyond_the_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is no room for is named; the submission itself is taken first, and a person looks if
    it is what there is no room for.
    """
    folder = make_folder(tmp_path / "alice", "z.ipynb")
    for number in range(parcel.MAX_FILES + 3):
        (folder / f"image{number:04}.png").write_bytes(b"")
    with (folder / "data.bin").open("wb") as sparse:
        sparse.truncate(parcel.MAX_FILE + 1)
    (folder / "zz").symlink_to(tmp_path)
    program = load(folder, tmp_path / "scratch").program
    assert Path(program.path).name == "z.ipynb"
    bounds = "2,000 files, 200,000,000 bytes each, 300,000,000 in all"
    assert [note.message for note in program.notes] == [
        f"left out, beyond the bounds of a submission ({bounds}): data.bin, image1999.png, image2000.png, "
        "image2001.png, image2002.png",
        "left out, a link, or no file at all: zz",
    ]
    (folder / "z.ipynb").unlink()
    (folder / "z.ipynb").symlink_to("data.bin")
    with pytest.raises(Unsupported, match=r"no submission in it; left out, beyond the bounds.*data\.bin"):
        load(folder, tmp_path / "scratch")
    monkeypatch.setattr(parcel, "MAX_SEEN", 1_000)
    with pytest.raises(Unsupported, match="larger than any submission"):
        load(folder, tmp_path / "scratch")


def test_a_file_too_large(tmp_path: Path) -> None:
    """A limit of grader's is no mistake of a student's; a folder nested without end neither."""
    for name in ("net.keras", "work.zip"):
        with (tmp_path / name).open("wb") as sparse:
            sparse.truncate(parcel.MAX_SEEN_BYTES + 1)
        with pytest.raises(Unsupported, match=r"1,000,000,001 bytes; at most"):
            load(tmp_path / name, tmp_path / "scratch")
    folder = make_folder(tmp_path / "alice", "a.ipynb")
    (folder / "/".join(["x"] * 60)).mkdir(parents=True)
    with pytest.raises(Unsupported, match="nested too deeply"):
        load(folder, tmp_path / "scratch")


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """A file that is replaced by a link after it was listed is not followed, and what has grown is not cut:
    both are told, and cost nobody a point.
    """
    folder, secret = make_folder(tmp_path / "alice", "a.ipynb", "sub/b.txt"), tmp_path / "secret"
    secret.mkdir()
    (secret / "b.txt").write_text(CODE)
    listed = parcel._listed
    changes: list[Callable[[], object]] = [
        lambda: (folder / "sub" / "b.txt").write_text(CODE * 2),
        lambda: (folder / "sub" / "b.txt").unlink(),
        lambda: (folder / "sub" / "b.txt").symlink_to(secret / "b.txt"),
        lambda: (folder / "sub").rename(folder / "other") and (folder / "sub").symlink_to(secret),
    ]
    for change in changes:

        def then(place: Path, name: str, change: Callable[[], object] = change) -> Any:
            found = listed(place, name)
            change()
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parcel, "_listed", then)
            with pytest.raises(BrokenError, match="alice cannot be read"):
                load(folder, tmp_path / "scratch")
        (folder / "sub" / "b.txt").unlink(missing_ok=True)
        (folder / "sub" / "b.txt").write_text(CODE)
    assert not any("secret" in str(f) for f in (tmp_path / "scratch").rglob("*"))


def test_digest_of_equal_folders(tmp_path: Path) -> None:
    """Two folders with the same files have the same digest."""
    digests = {
        load(make_folder(tmp_path / name, "b.txt", "a.ipynb"), tmp_path / "scratch").program.digest
        for name in ("alice", "bob")
    }
    assert len(digests) == 1


def test_a_summary_shown_as_html_is_read(tmp_path: Path) -> None:
    """Keras 3 prints its summary as a rich display; the counts are in its HTML."""
    notebook = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell("model.summary()")
    markup = "<pre>Total params: <span style='color: #00af00'>13,880</span> (54.22 KB)\n</pre>"
    cell.outputs = [nbformat.v4.new_output("display_data", data={"text/html": markup, "text/plain": ""})]
    notebook.cells = [cell]
    path = tmp_path / "summary.ipynb"
    nbformat.write(notebook, path)
    program = load(path, tmp_path / "scratch").program
    assert claims.read(program).total_parameters == (13_880,)


def test_a_summary_in_text_and_html_is_read_once(tmp_path: Path) -> None:
    """Jupyter stores both; one of them is enough."""
    notebook = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell("model.summary()")
    both = {"text/plain": "Total params: 13,880 (54 KB)\n", "text/html": "<b>Total params:</b> 13,880"}
    cell.outputs = [nbformat.v4.new_output("display_data", data=both)]
    notebook.cells = [cell]
    path = tmp_path / "summary.ipynb"
    nbformat.write(notebook, path)
    program = load(path, tmp_path / "scratch").program
    assert claims.read(program).total_parameters == (13_880,)


@pytest.mark.parametrize(
    ("count", "kept"), [(31, 31), (None, None), ("*", None), (0, None), (-1, None), (10**12, None)]
)
def test_execution_counts(read: Callable[..., Program], count: Any, kept: int | None) -> None:
    """The number in `In [31]`; what no person could have reached is none."""
    cell = {"cell_type": "code", "metadata": {}, "source": "x", "outputs": [], "execution_count": count}
    assert read("a.ipynb", notebook(cell)).cells[0].execution_count == kept


def test_a_saved_traceback_leaves_its_last_line(read: Callable[..., Program]) -> None:
    """Without colours, and cut to what a note can hold."""
    error = {
        "output_type": "error",
        "ename": "KeyError",
        "evalue": "\x1b[31m'a'\x1b[0m" + "x" * 500,
        "traceback": [],
    }
    (cell,) = read("a.ipynb", notebook(code("boom", error))).cells
    assert cell.raised.startswith("KeyError: 'a'xxx")
    assert len(cell.raised) <= 220
