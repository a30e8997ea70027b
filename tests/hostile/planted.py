"""Files that some tool would take for its configuration or its code, if it were started beside them.

Each leaves a file of its own name in a folder of canaries when it is obeyed by a process outside the box.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

MODULES = (
    "conftest.py", "__init__.py", "sitecustomize.py", "usercustomize.py", "venv.py", "json.py", "numpy.py",
    "typing.py", "typer.py", "yaml.py", "evil.py", "setup.py", "noxfile.py",
    "grader/__init__.py", "grader/__main__.py", "grader/cli.py", "grader/commands/__init__.py", "grader/commands/pytest_plugin.py",
    "pytest/__init__.py", "pip/__init__.py", "pip/__main__.py", "_pytest/__init__.py",
)  # fmt: skip
PYTEST = """
addopts = -p evil -p no:grader --grader-isolation=none
pythonpath = .
filterwarnings = ignore::evil.Class
"""
TOML = '{table}\naddopts = ["-p", "evil", "--grader-isolation=none"]\npythonpath = ["."]\nfilterwarnings = ["ignore::evil.C"]\n'
TEXTS = {
    "pytest.ini": f"[pytest]{PYTEST}",
    ".pytest.ini": f"[pytest]{PYTEST}",
    "tox.ini": f"[pytest]{PYTEST}",
    "setup.cfg": f"[tool:pytest]{PYTEST}",
    "pytest.toml": TOML.format(table="[pytest]"),
    "pyproject.toml": TOML.format(table="[tool.pytest.ini_options]"),
    "@options": "-p\nevil\n--grader-isolation=none\n",
    "-p evil.keras": "",
    "--grader-isolation=none": "",
    "--no-isolation": "",
    ".netrc": "machine github.com login evil password evil\n",
    ".numba_config.yaml": "disable_jit: true\nboundscheck: 1\n",
    "matplotlibrc": "backend: module://evil\n",
    ".keras/keras.json": '{"backend": "evil", "floatx": "float16"}',
    "keras.json": '{"backend": "evil"}',
    "pip.conf": "[global]\nindex-url = http://evil.invalid/\n",
    "pyvenv.cfg": "home = /evil\n",
    ".python-version": "2.7\n",
    ".env": "PYTHONPATH=.\n",
    ".coveragerc": "[run]\nplugins = evil\n",
    ".gitattributes": "* filter=evil diff=evil\n",
    "bunfig.toml": "",
    ".pytest_cache/v/cache/lastfailed": '{"nothing": true}',
}
RUBRIC = 'title = "EVERYONE PASSES"\n[[criterion]]\nid = "a"\nkind = "parameter_limit"\nlimit = 999999\npoints = 1\n'
BAD_NAME = "w\n::error::x\x1b[31mred.keras"


def plant(folder: Path, model: bytes, canaries: Path, repository: bool = True, modules: bool = True) -> None:
    """Put all of these into a folder, beside a model."""
    for name in MODULES if modules else ():
        _write(folder / name, _code(canaries / name.replace("/", "+")))
    for name, text in TEXTS.items():
        _write(folder / name, text)
    for name in ("assignment4", "assignment4.toml", "assignment3"):
        _write(folder / name, RUBRIC)
    _write(folder / "evil.pth", f"import os; open({str(canaries / 'evil.pth')!r}, 'w')\n")
    (folder / "model.keras").write_bytes(model)
    (folder / BAD_NAME).write_bytes(model)
    if repository:
        _repository(folder, canaries)


def _code(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()\nclass Class(Warning): pass\nC = Class\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _repository(folder: Path, canaries: Path) -> None:
    """A repository whose settings name programs, and one that is made of plain files."""
    settings = {
        "core.fsmonitor": f"touch {canaries / 'fsmonitor'}; false",
        "log.showSignature": "true",
        "gpg.program": f"touch {canaries / 'gpg'}",
        "core.pager": f"touch {canaries / 'pager'}",
        "core.hooksPath": ".",
    }
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    for name, value in settings.items():
        subprocess.run(["git", "-C", folder, "config", name, value], check=True)
    for name in ("HEAD", "config"):
        (folder / name).write_bytes((folder / ".git" / name).read_bytes())
    for name in ("objects", "refs"):
        (folder / name).mkdir(exist_ok=True)
