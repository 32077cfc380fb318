"""Tuning methods: what of a model is trained."""
