"""A search from images to result."""
