"""``python -m outlast`` is the ``outlast`` command."""

from outlast.cli.main import main

main()
