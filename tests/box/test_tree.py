"""What is left of memory: of the machine, and of the control groups that this process is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.box import tree
from grader.box.tree import Group

GB = 1 << 30


def _group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_a_group_leaves_its_limit_but_what_it_holds(tmp_path: Path) -> None:
    """Version 2: every group up to the root limits; files in memory can be dropped."""
    system, told = tmp_path / "cgroup", tmp_path / "told"
    told.write_text("0::/user/session\n")
    stat = f"anon {GB}\nactive_file {GB // 4}\ninactive_file {GB // 4}\n"
    _group(system, {"memory.stat": stat})  # the root of a machine has no limit
    _group(
        system / "user",
        {"memory.max": f"{4 * GB}\n", "memory.current": f"{3 * GB}\n", "memory.stat": stat},
    )
    _group(
        system / "user" / "session",
        {"memory.max": "max\n", "memory.current": f"{2 * GB}\n", "memory.stat": stat},
    )
    assert list(tree.groups(system, told)) == [Group(4 * GB, GB + GB // 2)]


def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    """Version 1, where the path is one of the host's."""
    system, told = tmp_path / "cgroup", tmp_path / "told"
    told.write_text("5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n")
    files = {
        "memory.limit_in_bytes": str(GB),
        "memory.usage_in_bytes": str(GB // 2),
        "memory.stat": f"active_file 1\ntotal_active_file 0\ntotal_inactive_file {GB // 4}\n",
    }
    _group(system / "memory", files)
    assert list(tree.groups(system, told)) == [Group(GB, GB // 2 + GB // 4)]


def test_without_groups_nothing_limits(tmp_path: Path) -> None:
    assert list(tree.groups(tmp_path, tmp_path / "absent")) == []


def test_a_small_container_is_not_exhausted_by_a_reserve_for_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sixteenth of its limit counts where that is less."""
    left = [100 << 20]
    monkeypatch.setattr(tree, "groups", lambda: iter([Group(GB, left[0])]))
    assert tree.available() == 100 << 20
    assert not tree.exhausted(GB // 2)
    left[0] = 60 << 20
    assert tree.exhausted(GB // 2)
