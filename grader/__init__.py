"""grader: describe, check and retrain the networks that students hand in."""

import os
import sys

__version__ = "0.1.0"

# A relative entry is looked for in the current folder, which may be a student's. Packages that are installed
# as editable leave one on the path, with -I as well: the name of no folder, until somebody makes one.
sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry)]
