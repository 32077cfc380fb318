"""The encoder, and the encoder with its heads."""
