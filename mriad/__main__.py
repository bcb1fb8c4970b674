"""The command mriad as python -m mriad."""

from mriad.cli import main

if __name__ == "__main__":
    main()
