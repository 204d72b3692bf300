"""The model server and its client. Importing this is quick: the client needs no TensorFlow."""

from tfllmrec.serving.launch import ServerProcess
from tfllmrec_client.client import Client
from tfllmrec_client.results import ScoredItem
from tfllmrec_client.status import RequestError

__all__ = ["Client", "RequestError", "ScoredItem", "ServerProcess"]
