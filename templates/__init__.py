"""Templates shipped in the wheel: Jenkinsfiles, Kubernetes manifests, the scaffold of a repository."""
