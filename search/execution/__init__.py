"""A running search."""
