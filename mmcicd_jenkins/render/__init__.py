"""From a configuration to text: Jenkinsfiles, manifests, the scaffold. Pure but for reading templates."""
