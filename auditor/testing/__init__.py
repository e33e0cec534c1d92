"""The contract of every test: what it says of itself, what it reads, and how it says what it measured.

card          what a test is and which numbers it gives, for whoever reads them
settings      what a plan may set of it
chunks        what it looks at to plan work of its own, and the pieces of that work
context       what it may measure from: the plan, the cases and their decisions, never another test's numbers
state         whether a model answers readably, judged in every arm
families      which tests are adjusted together
factory       measurements with their ids, built in one place
unadjusted    measurements before their family is adjusted
attributions  what each field did to one decision, kept beside the measurements
checks        the contract as one call

Nothing here needs torch: a page, a report and a plan know a test by its card.
"""
