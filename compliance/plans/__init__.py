"""Plans on the site: a shelf of ready-made ones, drafts as form and TOML, previews, and who approved which design."""
