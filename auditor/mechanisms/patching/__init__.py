"""Activation patching: at which layers and positions a difference is carried."""
