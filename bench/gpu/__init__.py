"""What to run in the first minutes on a machine with a GPU: `python -m bench.gpu`."""
