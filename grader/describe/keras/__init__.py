"""What `compile`, `fit` and their arguments mean: recorded for a recipe, or replayed."""
