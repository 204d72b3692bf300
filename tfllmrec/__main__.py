"""`python -m tfllmrec` is the `tfllmrec` command."""

from tfllmrec.cli import main

main()
