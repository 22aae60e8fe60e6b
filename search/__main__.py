"""`python -m search`, the same as `cifar-search`."""

from search.cli import main

if __name__ == "__main__":
    main()
