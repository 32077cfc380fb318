"""Contestants for the tests of the benchmark."""
