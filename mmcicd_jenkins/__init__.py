"""From git push to a TensorFlow model in production."""
