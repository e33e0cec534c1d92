"""Work on files that nobody vouches for: in child processes, bounded in time and memory."""
