"""Benchmarks of searches: what they return, how soon, and what deciding costs."""
