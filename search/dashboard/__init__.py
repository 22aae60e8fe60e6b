"""optuna-dashboard, made safe to leave running."""
