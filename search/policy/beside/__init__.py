"""Choices that are made beside the search, in a process of their own."""
