"""The embedded server that speaks the REST and gRPC surface of TensorFlow Serving, and its wire forms."""
