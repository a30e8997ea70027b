"""Data sets, formulas that prepare images, the user's cache, and speeds measured on this machine."""
