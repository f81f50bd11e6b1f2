"""Metrics, plots and the documents people read: HTML, Markdown, JUnit XML."""
