"""Data sources: fetched, looked at, divided."""
