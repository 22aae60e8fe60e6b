"""Trials as files to take away: configurations, trained networks and programs; and how they are read."""
