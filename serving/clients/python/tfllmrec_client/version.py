"""Version of the distributions `tfllmrec` and `tfllmrec-client`, which are released together."""

__version__ = "0.1.0"
