"""A Jenkins controller, over python-jenkins."""
