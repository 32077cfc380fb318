"""What stands on the encoder's output, one head a file."""
