"""Tiles on the canvas: drawn, picked, tried, chosen."""
