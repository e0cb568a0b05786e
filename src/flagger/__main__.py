"""`python -m flagger`."""

from flagger.cli.main import main

if __name__ == "__main__":
    main()
