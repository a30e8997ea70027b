"""Networks as records, from live models and from saved files."""
