"""Keras layers, one a file; none of them knows a model."""
