"""Model repository: the versions of models, and the labels that a model server serves."""

from tfllmrec.repository.repository import Repository

__all__ = ["Repository"]
