"""Doing an audit: the job, its ledger in rows, the workers and those who watch over them."""
