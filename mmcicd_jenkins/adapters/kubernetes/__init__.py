"""Kubernetes: the way to a cluster, the calls that we make there, and what stands behind the ports of serving."""
