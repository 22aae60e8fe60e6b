"""The model of training curves and costs, in plain numbers."""
