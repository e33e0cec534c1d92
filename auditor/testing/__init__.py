"""The contract of every test: what it says of itself, what it reads, and how it says what it measured.

card       what a test is, for whoever reads its numbers
context    what it may look at: the plan, the cases and their decisions, never another test's numbers
state      whether a model answers readably, judged in every arm
families   which tests are adjusted together
factory    measurements with their ids, built in one place
drafts     measurements before their family is adjusted

Nothing here needs torch: a page, a report and a plan know a test by its card.
"""
