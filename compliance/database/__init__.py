"""The database as a thing of its own: its tables, its refusals, and what is done while it is busy."""
