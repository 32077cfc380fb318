"""From raw text to token ids: vocabulary, WordPiece, offsets, sentences."""
