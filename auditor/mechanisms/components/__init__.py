"""Component attribution: which heads and MLPs write a difference into the answer (direct logit attribution)."""
