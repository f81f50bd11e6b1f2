"""Implementations of `mmcicd_jenkins.ports`: one file per outside library or program. Foreign errors stop here."""
