"""Layers: images understood, labels computed when they are read."""
