"""What a causal step needs before it says yes or no. Needs no torch."""

from __future__ import annotations

from auditor.statistics.minimums import GROUP, MINIMUMS

#: Most that may be left, on applications an eraser was not fitted on, of what a linear probe finds.
MOST_LEFT = 0.10
#: Most of the groups' distance on applications it was not fitted on that a direction may fall short of for a "no".
MOST_SHORT = 0.10
#: Least share of what shuffled labels move states by that the true ones have to move them by for a "no".
LEAST_MOVED = 0.5
#: Nats; a difference between groups no larger than this is none.
SMALLEST_GAP = 1e-3
#: Fewest applications in each group before a share of them may say that nothing was found (docs/statistics.md).
LEAST_IN_GROUP = MINIMUMS[GROUP].least
