"""One recipe's training as one file that needs PyTorch alone.

`training`, `policies`, `mixing`, `files`, `imagenet` and `held_out` are that program for every recipe, in
plain PyTorch and made to be read. `program.standalone_program` writes it for one recipe: it gathers the
source of everything that is needed (`linking`), networks and operations from the modules that the service
trains with; puts the recipe's values in and decides what they decide (`folding`); and leaves out what is
then of no use (`pruning`, `docstrings`).
"""
