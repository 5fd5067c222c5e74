"""Labels and a model's outputs in, plain numbers out."""
