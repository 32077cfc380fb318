"""Model directories and foreign checkpoint formats, read and written."""
