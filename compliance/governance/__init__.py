"""What the event log answers for: events, and rows and files compared with them."""
