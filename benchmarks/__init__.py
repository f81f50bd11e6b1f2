"""One file per benchmark; `python -m benchmarks.NAME --json` prints one object (DESIGN section 8)."""
