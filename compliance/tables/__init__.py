"""A table is described once: a page renders it, and so does every file it is taken away in."""
