"""SavedModels with text signatures, and what serves and queries them."""
