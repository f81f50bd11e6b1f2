"""A registry by the OCI distribution protocol: the client, and the store on top of it."""
