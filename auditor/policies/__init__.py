"""Policy packs as dated, sourced data, and their loader."""
