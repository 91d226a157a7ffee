"""`python -m fmnist_edge`: the command, where its script is not on the PATH."""

from fmnist_edge.cli import main

if __name__ == "__main__":
    main()
