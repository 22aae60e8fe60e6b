"""Diagnostics as plots, by matplotlib.

One file a figure, each with a function from plain data to a `Figure`; `style.write_png` saves one.
Importing any of the modules imports matplotlib, which takes a moment, so import them where a plot
is made. `pyplot` and its global state are not used.
"""
