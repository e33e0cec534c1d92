"""The Django site and its commands: rows, actions, workers."""
