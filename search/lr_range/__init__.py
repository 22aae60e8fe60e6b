"""The LR-range test of a study."""
