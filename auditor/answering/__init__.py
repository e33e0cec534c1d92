"""Audits of systems that answer: the same cases and tests as for weights, with answers instead of log-probabilities.

importing ─▶ a listed system is probed, and named by what it is     stands in the store beside models
preparing ─▶ the run record and chunks of so many requests          no tokenizer
scoring   ─▶ one chunk asked through the run's request store        the only step that touches the network
deciding  ─▶ a decision from every answer                           a margin, a bound, a choice, refused, unreadable
"""
