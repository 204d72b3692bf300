"""`InputError`, raised for invalid input of the caller; the class is shared with the client."""

from tfllmrec_client.errors import InputError

__all__ = ["InputError"]
