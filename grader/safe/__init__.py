"""Readers of what others wrote, JSON, arrays and zips: within bounds, and nothing in it is run."""
