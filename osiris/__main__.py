"""``python -m osiris``."""

from osiris.cli.main import main

if __name__ == "__main__":
    main()
