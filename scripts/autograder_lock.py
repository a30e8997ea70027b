"""Write grader/commands/requirements.lock: of requirements.lock, what grader itself needs, with its hashes.

The zip for Gradescope holds it, so that its container installs those very files and no others.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(lock: str) -> dict[str, list[str]]:
    """The pinned requirements with their hashes and comments, by name; several where versions differ."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=\S)", lock.strip()):
        found.setdefault(re.split(r"[=\[ ;]", block, maxsplit=1)[0], []).append(block)
    return found


def needed(lock: dict[str, list[str]]) -> set[str]:
    """Grader's own requirements without extras, and whatever the lock says is there because of them."""
    own = [line for line in metadata.requires("grader") or [] if "extra ==" not in line]
    names = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower().replace("_", "-") for line in own}
    names &= set(lock)
    while more := {name for name, pins in lock.items() if name not in names and _via(pins) & names}:
        names |= more
    return names


def _via(pins: list[str]) -> set[str]:
    """The packages that a pinned one is there for."""
    return {via for pin in pins for via in re.findall(r"#\s+(?:via )?(\S+)$", pin, re.MULTILINE)}


def trimmed(lock: str) -> str:
    pins = blocks(lock)
    kept = [pin for name in sorted(needed(pins)) for pin in pins[name]]
    return "\n".join(re.sub(r"\n\s+#.*", "", pin) for pin in kept) + "\n"


if __name__ == "__main__":
    made = trimmed((ROOT / "requirements.lock").read_text())
    (ROOT / "grader" / "commands" / "requirements.lock").write_text(made)
