"""Models on disk and on the wire: SavedModels read without TensorFlow, other formats made into one, a client of what serves."""
