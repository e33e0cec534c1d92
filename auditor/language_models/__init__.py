"""The audited language models: the content-addressed store, local models, endpoints and packed scoring."""
