"""Faults brought about on purpose, and what is left of a run after them."""
