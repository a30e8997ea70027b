"""`grader gradescope build`: writes the zip that Gradescope makes an autograder of.

The zip holds this grader, the rubric with its data, and two scripts. Gradescope's container is small, so
without `--retrain` only the structural criteria are answered there, and retraining follows in a batch.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from grader.box.isolation.interface import STRANGERS
from grader.commands.console import show
from grader.commands.options import Throwaway
from grader.errors import InstructorError

app = typer.Typer(no_args_is_help=True, help="Run grader as an autograder of Gradescope.")
PACKAGE = Path(__file__).parents[1]
MOST = 100 << 20  # bytes of a zip that Gradescope accepts
SECONDS_LEFT = 30  # part of the platform's time limit that is kept for writing results


@app.callback()
def _group() -> None:
    """A group with one command: `grader gradescope build`."""


@app.command()
def build(
    output: Annotated[Path, typer.Argument(help="The zip to write.")],
    rubric: Annotated[str, typer.Option("--rubric", "-r", help="A rubric's path, or the name of one.")],
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain/--no-retrain", help="Retrain on Gradescope too: needs its largest container."
        ),
    ] = False,
    minutes: Annotated[
        int, typer.Option("--minutes", min=2, max=40, help="The time limit that is set for the assignment.")
    ] = 10,
    throwaway: Throwaway = False,
) -> None:
    """Make the autograder zip: setup.sh, run_autograder, this grader and the rubric.

    Upload it under Configure Autograder. Without --throwaway-container a submission is graded there
    only if grader finds a box that works in Gradescope's container.
    """
    from grader.judge.rubric import load
    from grader.report import deliver

    loaded = load(rubric)
    data = None if isinstance(loaded.rubric.dataset, str) else Path(loaded.dataset.path)
    text = Path(loaded.path).read_text(encoding="utf-8")
    if not isinstance(loaded.rubric.dataset, str):  # in the zip the data set lies beside the rubric
        text = text.replace(loaded.rubric.dataset.path, Path(loaded.dataset.path).name)
    files: dict[str, bytes] = {
        "setup.sh": _setup().encode(),
        "run_autograder": _run(retrain, minutes, throwaway).encode(),
        "rubric.toml": text.encode(),
        "requirements.txt": Path(__file__).with_name("requirements.lock").read_bytes(),
        **dict(_source()),
    }
    if data is not None:
        files[data.name] = data.read_bytes()
    packed = pack(files)
    if len(packed) > MOST:
        raise InstructorError(
            f"the zip would have {len(packed) >> 20} MiB; Gradescope takes {MOST >> 20}",
            "Use a smaller data set, or a Docker image.",
        )
    deliver.write(packed, output)
    show(f"{output}: {len(packed) >> 20} MiB; upload it under Configure Autograder")


def _source() -> Iterator[tuple[str, bytes]]:
    """Yield the installed package, with the shipped rubrics at their place in a wheel."""
    from grader.judge.rubric import SHIPPED

    for file in sorted(PACKAGE.rglob("*")):
        inside = file.relative_to(PACKAGE)
        if file.is_file() and "__pycache__" not in inside.parts and inside.parts[0] != "rubrics":
            yield f"source/grader/{inside.as_posix()}", file.read_bytes()
    for file in sorted(SHIPPED.glob("*.toml")):
        yield f"source/grader/rubrics/{file.name}", file.read_bytes()


def pack(files: dict[str, bytes]) -> bytes:
    """Zip files by name; the same files give the same bytes, and the two scripts are executable."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(info, content)
    return stream.getvalue()


def _setup() -> str:
    return """#!/usr/bin/env bash
# Run once, when Gradescope builds the image: Python 3.11 or newer, and grader's requirements.
set -euo pipefail
root="${AUTOGRADER:-/autograder}"
python=""
for version in 3.13 3.12 3.11; do
    command -v "python$version" > /dev/null && python="python$version" && break
done
if [ -z "$python" ]; then
    apt-get update
    apt-get install -y python3.12 python3.12-venv || apt-get install -y python3.11 python3.11-venv
    python="$(command -v python3.12 || command -v python3.11)"
fi
if ! "$python" -I -m venv "$root/venv"; then
    apt-get update
    apt-get install -y "$(basename "$python")-venv"
    "$python" -I -m venv --clear "$root/venv"
fi
"$root/venv/bin/python" -I -m pip install --quiet --require-hashes \\
    --requirement "$root/source/requirements.txt"
# Every process of grader's runs with -I, which takes no module from the environment or the current folder.
"$root/venv/bin/python" -I - "$root/source/source" << 'PY'
import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "grader.pth").write_text(sys.argv[1] + "\\n")
PY
"""


def _run(retrain: bool, minutes: int, throwaway: bool) -> str:
    options = "--retrain" if retrain else "--no-retrain"
    isolation = "--throwaway-container" if throwaway else "--isolation"
    failed = (
        '{"tests": [], "output": "Grading failed by no fault of this submission: it took too long or was '
        'stopped. Your instructor can run it again.", "stdout_visibility": "hidden"}'
    )
    return f"""#!/usr/bin/env bash
# Run for every submission. What Gradescope waits for is there from the start and is replaced at the end.
# Only root may write it. A submission runs as a user of its own, whose processes are ended before that.
set -u
root="${{AUTOGRADER:-/autograder}}"
results="$root/results/results.json"
mkdir -p "$root/results"
chmod 755 "$root" "$root/results"
rm -f "$results"
cat > "$results" <<'JSON'
{failed}
JSON
cd /
timeout --kill-after=5 {minutes * 60 - SECONDS_LEFT} "$root/venv/bin/python" -I -m grader \\
    check "$root/submission" --rubric "$root/source/rubric.toml" {options} {isolation} --quiet \\
    -f terminal -f gradescope="$results"
echo "grader ended with exit code $?"
# Where grader itself was stopped, the users that it makes for submissions may have processes left.
for process in /proc/[0-9]*; do
    user="$(stat -c %u "$process" 2> /dev/null || echo 0)"
    [ "$user" -lt {STRANGERS} ] || kill -KILL "${{process#/proc/}}" 2> /dev/null
done
exit 0
"""
