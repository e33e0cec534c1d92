"""Attribution patching: which heads and MLPs carry a difference, screened by gradients and patched."""
