"""TLS of the gRPC interface: the file of `--ssl_config_file`."""

from pathlib import Path

import grpc

from tfllmrec.errors import InputError
from tfllmrec.serving.text_files import read_message
from tfllmrec_client.messages import declare

SSLConfigProto = declare(
    "ssl",  # tensorflow-serving-api does not contain this message
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
    """Read the server's credentials from an `SSLConfig` in text format. Its values are PEM texts, as in TF Serving.

    Raises:
        InputError: If the file cannot be read or parsed, the key or the certificate is missing, or `client_verify` is
            set without `custom_ca`.
    """
    config = read_message(path, SSLConfigProto)
    if not config.server_key or not config.server_cert:
        raise InputError(f"{path}: give server_key and server_cert, each as PEM text")
    if config.client_verify and not config.custom_ca:
        raise InputError(f"{path}: client_verify needs custom_ca, the authority that signs client certificates")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() or None,
        config.client_verify,
    )
