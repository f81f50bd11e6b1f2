"""The store as an OCI image layout on disk."""
