"""`python -m gsrecon` is the `gsrecon` command."""

from gsrecon.cli.main import main

if __name__ == "__main__":
    main()
