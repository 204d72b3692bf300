"""Encryption of the gRPC interface: the text file that `--ssl_config_file` names."""

from pathlib import Path

import grpc

from tfllmrec.errors import InputError
from tfllmrec.serving.text_files import read_message
from tfllmrec_client.messages import declare

_MESSAGE = declare(
    "ssl",  # tensorflow-serving-api does not ship it
    {
        "SSLConfig": {
            "server_key": (1, "string"),
            "server_cert": (2, "string"),
            "custom_ca": (3, "string"),
            "client_verify": (4, "bool"),
        }
    },
)["SSLConfig"]


def server_credentials(path: Path) -> grpc.ServerCredentials:
    """What a server shows, and asks of clients; the file holds PEM texts, as TF Serving has it.

    Raises:
        InputError: no such file, no such text, no key or certificate, or clients to be verified by no authority.
    """
    config = read_message(path, _MESSAGE, "SSL configuration")
    if not config.server_key or not config.server_cert:
        raise InputError(f"{path}: give server_key and server_cert, each as PEM text")
    if config.client_verify and not config.custom_ca:
        raise InputError(
            f"{path}: client_verify needs custom_ca, the authority that has signed the clients' certificates"
        )
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() or None,
        config.client_verify,
    )
