"""The one exception a caller can mend: something they gave is wrong."""


class InputError(ValueError):
    """Bad input: a table, an option, a path. The message is one sentence: what, where, what to do.

    The command line prints the sentence and exits with 2; anything else that is raised is a defect.
    """
