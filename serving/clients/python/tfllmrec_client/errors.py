"""The exception for wrong input, which the caller can correct."""


class InputError(ValueError):
    """Invalid input: a table, an option, a path. The message is one sentence: what is wrong, where, and what to do.

    The command line prints the sentence and exits with 2. Any other exception is a defect.
    """
