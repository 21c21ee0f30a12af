"""``python -m datacore`` is the ``datacore`` command."""

from datacore.cli.main import main

if __name__ == "__main__":
    main()
