"""Optuna's database, locks and copies."""
