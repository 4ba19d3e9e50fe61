"""How good predictions are, and what may be claimed from them: arrays in, numbers out."""
