"""Optimizers, schedules, strategies, the training loop and its checkpoints."""
