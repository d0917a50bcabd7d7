"""Benchmarks of accuracy, speed and scale: `python -m benchmarks`."""
