"""How far can the LR-range test be trusted, and does it pay? Measurements and their evaluation."""
