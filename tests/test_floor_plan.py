"""The floor plan: which folder of grader may import which, and that no two import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Each folder, from the command line down, and what it imports. `describe` runs a student's code and `train`
# holds test labels: nobody imports them, and neither imports the other.
PLAN = {
    "cli": "commands",
    "commands": "ask box data errors grade intake judge machine records report runners store",
    "grade": "ask box claims data errors intake judge layers records runners store",
    "runners": "ask box data errors records",
    "report": "box errors judge layers machine records safe",
    "machine": "ask box data errors record records",
    "store": "ask errors judge records",
    "ask": "box claims data errors intake layers records safe",
    "judge": "data errors layers records",
    "claims": "layers records",
    "intake": "errors records safe",
    "train": "data records",
    "describe": "describe.images describe.keras describe.world errors records",
    "describe.child": "describe describe.keras describe.networks describe.world errors records",
    "describe.keras": "data describe.images describe.networks describe.world errors records",
    "describe.networks": "describe.world errors records safe",
    "describe.world": "describe.images errors records",
    "describe.images": "data errors records",
    "data": "errors record records safe",
    "layers": "errors records",
    "box": "errors",
    "records": "record",
}


def _modules() -> dict[str, Path]:
    files = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in _files()}
    return {name.removesuffix(".__init__"): path for path, name in files.items()}


def _files() -> list[Path]:
    return sorted((ROOT / "grader").rglob("*.py"))


def _imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules that a file imports, in functions as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("grader."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "grader":
            for a in node.names:
                full = f"{node.module}.{a.name}"
                yield full if full in modules else str(node.module)


def _folder(module: str) -> str:
    """The folder in whose name a module imports; the wings of `describe` count one by one."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2] if parts[:1] == ["describe"] and len(parts) > 2 else parts[:1])


def _arrows() -> dict[str, set[str]]:
    modules = _modules()
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        here = _folder(name)
        there = {_folder(other) for other in _imported(path, modules)} - {here, ""}
        found.setdefault(here, set()).update(there)
    return found


def test_folders_import_what_the_plan_allows() -> None:
    """An arrow that is not in the plan is a new dependency: think twice, then draw it here."""
    plan = {folder: set(others.split()) for folder, others in PLAN.items()}
    found = {folder: there for folder, there in _arrows().items() if folder not in ("", "__main__")}
    assert {folder: there for folder, there in found.items() if there} == plan


def test_the_plan_has_no_circles() -> None:
    """Raises `CycleError` if there are; every folder can be understood from those below it."""
    TopologicalSorter({folder: others.split() for folder, others in PLAN.items()}).prepare()


def test_modules_import_one_another_in_no_circle() -> None:
    """Not within a folder either; an import in a function counts."""
    modules = _modules()
    graph = {name: set(_imported(path, modules)) - {name, "grader"} for name, path in modules.items()}
    packages = {name for name, path in modules.items() if path.name == "__init__.py"}
    TopologicalSorter({n: o for n, o in graph.items() if n not in packages}).prepare()


def test_no_module_names_a_child() -> None:
    """Children are started, by the names of their modules; to import one would bring it to the wrong side."""
    for path in _files():
        if path.relative_to(ROOT / "grader").parts[0] not in ("describe", "train"):
            text = path.read_text()
            assert "from grader.train" not in text, path
            assert "from grader.describe" not in text, path
            assert "import_module" not in text, path
