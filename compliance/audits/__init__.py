"""Asking for an audit: what it is bound to, what it would cost, and its conclusion in a few lines."""
