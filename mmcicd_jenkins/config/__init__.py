"""From `mmcicd.yaml` to a frozen `Config`: parse, validate, resolve; every mistake at once with its place.

Reads files and the environment, writes nothing, knows no adapter.
"""
