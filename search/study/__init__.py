"""One Optuna study, its settings and its trials."""
