"""The one exception a caller can mend; the client raises it too, and has it."""

from tfllmrec_client.errors import InputError

__all__ = ["InputError"]
