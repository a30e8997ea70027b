"""`python -m grader` is `grader`.

Started so, Python looks for modules in the current folder first, which may be a student's. So it starts
once more without that. What it cannot help is a package `grader` in that folder, which Python has then found
instead of this one: use `grader`, or `python -I -m grader`.
"""

import os
import sys

if not sys.flags.safe_path:
    os.execv(sys.executable, [sys.executable, "-P", *sys.orig_argv[1:]])

from grader.cli import main  # not before the folder is off the path

main()
