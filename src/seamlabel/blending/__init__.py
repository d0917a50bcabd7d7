"""Dense predictions of tiles blended into one map: weights, accumulation, finishing."""
