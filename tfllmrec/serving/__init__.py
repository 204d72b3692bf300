"""The model server and its client. Importing this is quick: the client needs no TensorFlow."""

from tfllmrec.serving.launch import ServerProcess
from tfllmrec_client.client import Client, RecommendedItem
from tfllmrec_client.status import RequestError

__all__ = ["Client", "RecommendedItem", "RequestError", "ServerProcess"]
