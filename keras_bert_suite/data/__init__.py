"""From documents and rows to batches of token ids."""
