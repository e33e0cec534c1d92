"""What an audit says: report content, wording, charts, PDF and offline verification, from an evidence bundle alone."""
