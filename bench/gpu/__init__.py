"""The benchmark for the first minutes on a machine with a GPU: `python -m bench.gpu`."""
