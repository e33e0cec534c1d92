"""Look-ahead: from where on a decision is settled, before the last token is read."""
