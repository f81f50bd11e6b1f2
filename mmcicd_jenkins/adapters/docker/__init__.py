"""The Docker engine: trials, builds, training in an image."""
