"""What several methods use: pairs, patches, streams, players, paired means, readers. No method imports another."""
