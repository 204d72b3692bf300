"""Checks of single arguments, shared with the client."""

from tfllmrec_client.arguments import positive_integer, require_type

__all__ = ["positive_integer", "require_type"]
