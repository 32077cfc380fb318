"""Text and records -> examples -> batches."""
