"""Fixtures of real parts that several files share: one engine and one base image for all of them."""

from docker_engine import docker
from docker_serving import engine, networked, serving_base, shelf

__all__ = ["docker", "engine", "networked", "serving_base", "shelf"]
