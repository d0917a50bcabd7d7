"""The stages of a run: segment, seams, merge, paint; order, events, cancellation."""
