"""A model repository: versions that a model server finds there, and which of them it is to serve."""

from tfllmrec.repository.repository import Repository

__all__ = ["Repository"]
