"""Environments of kind `local`: our own servers on this machine."""
