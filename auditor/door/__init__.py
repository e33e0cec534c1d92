"""What ``import auditor`` offers to notebooks and scripts: one call from a plan to typed results.

systems  ─▶ what is asked: a model by its source, applications by theirs
audits   ─▶ ``audit``: prepare, score chunk by chunk, conclude, with the ledger in a folder
results  ─▶ ``Audited``: what a finished audit says, and its evidence on disk
"""
