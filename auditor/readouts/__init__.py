"""How a decision is read from an answer: strictly, the final answer only, and what cannot be read is said so."""
