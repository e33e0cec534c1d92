"""Integrated gradients: which tokens and fields drive a decision, along a path of inputs."""
