"""What people are told of, how it reaches them, and the pages on which they choose."""
