"""The model image as frozen values: layers, manifests, references, digests. Pure but for reading and unpacking model files.

No network. Sources and sinks (OCI layout, registry) are adapters.
"""
