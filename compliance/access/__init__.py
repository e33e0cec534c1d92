"""Who may do what: permissions by team and role, and the way in for the first administrator."""
