"""How a client reaches servers: what is sent again and what is not, several addresses, encryption, a Unix socket."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import trustme
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tfllmrec.serving.grpc_api import GrpcServer
from tfllmrec.serving.ssl_config import _MESSAGE, server_credentials
from tfllmrec_client import InputError, RequestError

UNAVAILABLE, ABORTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED


class Refusing(model_service_pb2_grpc.ModelServiceServicer):
    """Refuses so many requests, then answers; counts all of them."""

    def __init__(self, times=0, code=UNAVAILABLE):
        self.times, self.code, self.asked = times, code, 0

    def GetModelStatus(self, request, context):  # noqa: N802
        self.asked += 1
        if self.asked <= self.times:
            context.abort(self.code, "no")
        answer = get_model_status_pb2.GetModelStatusResponse()
        answer.model_version_status.add(version=7, state=30)
        return answer


@pytest.fixture
def start():
    """Starts a server with a service: its address."""
    started = []

    def start(service):
        server = grpc.server(ThreadPoolExecutor(2))
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop(None)


def test_what_no_server_took_is_sent_again(client_class, start):
    service = Refusing(times=3)
    with client_class(start(service), "films") as client:
        assert client.status() == {7: "AVAILABLE"}
    assert service.asked == 4


@pytest.mark.parametrize(("code", "asked"), [(ABORTED, 1), (grpc.StatusCode.INTERNAL, 1), (UNAVAILABLE, 4)])
def test_nothing_else_is_and_not_for_ever(client_class, start, code, asked):
    service = Refusing(times=9, code=code)
    with client_class(start(service), "films") as client, pytest.raises(RequestError) as refused:
        client.status()
    assert (refused.value.code, service.asked) == (code, asked)


def test_the_deadline_ends_it(client_class, start):
    service = Refusing(times=9)
    with client_class(start(service), "films") as client, pytest.raises(RequestError) as refused:
        client.status(timeout=0.01)
    assert refused.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.asked < 4, "it was sent until nothing was left to try"


def test_several_servers_share_the_requests_and_one_that_is_away_is_passed_over(client_class, start):
    services = Refusing(), Refusing()
    away = GrpcServer("127.0.0.1", 0, 1)
    addresses = [start(service) for service in services]
    port = away.port
    away.stop(0)
    with client_class([*addresses, f"localhost:{port}"], "films") as client:
        while not all(service.asked for service in services):
            assert client.status() == {7: "AVAILABLE"}
    assert client.server == f"{addresses[0]} or {addresses[1]} or localhost:{port}"


@pytest.mark.parametrize(
    ("servers", "message"),
    [([], "give at least one server"), (["localhost:1", "no.such.host.invalid:1"], "cannot be resolved")],
)
def test_addresses_that_are_none(client_class, servers, message):
    with pytest.raises(InputError, match=message):
        client_class(servers, "films")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def config(authority, tmp_path):
    """Writes an SSL configuration, with changes."""

    def write(**changes):
        shown = authority.issue_cert("localhost")
        fields = {
            "server_key": shown.private_key_pem.bytes().decode(),
            "server_cert": shown.cert_chain_pems[0].bytes().decode(),
        }
        path = tmp_path / "ssl.config"
        path.write_text(text_format.MessageToString(_MESSAGE(**fields | changes)))
        return path

    return write


class Core:
    """A server's core that has no models; any answer proves the connection."""

    def status(self, spec):
        return get_model_status_pb2.GetModelStatusResponse()


@pytest.fixture
def listening():
    """Starts a `GrpcServer`."""
    started = []

    def listen(*arguments):
        started.append(GrpcServer("127.0.0.1", 0, 2, *arguments))
        started[-1].start(Core())
        return f"localhost:{started[-1].port}"

    yield listen
    for server in started:
        server.stop(0)


def pem(blob):
    return blob.bytes()


def test_encryption(client_class, listening, config, authority):
    address = listening(server_credentials(config()))
    trusting = grpc.ssl_channel_credentials(pem(authority.cert_pem))
    with client_class(address, "films", credentials=trusting) as client:
        assert client.status() == {}
    others = grpc.ssl_channel_credentials(pem(trustme.CA().cert_pem))
    for credentials in (None, others):
        with client_class(address, "films", credentials=credentials) as client, pytest.raises(RequestError) as refused:
            client.status()
        assert refused.value.code is UNAVAILABLE


def test_clients_that_have_to_show_who_they_are(client_class, listening, config, authority):
    signed = config(client_verify=True, custom_ca=pem(authority.cert_pem).decode())
    address = listening(server_credentials(signed))
    known = authority.issue_cert("client")
    shown = (pem(known.private_key_pem), pem(known.cert_chain_pems[0]))
    with client_class(
        address, "films", credentials=grpc.ssl_channel_credentials(pem(authority.cert_pem), *shown)
    ) as client:
        assert client.status() == {}
    unknown = grpc.ssl_channel_credentials(pem(authority.cert_pem))
    with client_class(address, "films", credentials=unknown) as client, pytest.raises(RequestError) as refused:
        client.status()
    assert refused.value.code is UNAVAILABLE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"server_key": ""}, "give server_key and server_cert"),
        ({"server_cert": ""}, "give server_key and server_cert"),
        ({"client_verify": True}, "client_verify needs custom_ca"),
    ],
)
def test_configurations_that_say_too_little(config, changes, message):
    with pytest.raises(InputError, match=message):
        server_credentials(config(**changes))


def test_files_that_are_no_configuration(tmp_path):
    path = tmp_path / "ssl.config"
    for _ in range(2):
        with pytest.raises(InputError, match="holds no SSL configuration"):
            server_credentials(path)
        path.write_text("nonsense")


def test_a_unix_socket(client_class, listening, tmp_path):
    listening(None, str(tmp_path / "films"))
    with client_class(f"unix:{tmp_path / 'films'}", "films") as client:
        assert client.status() == {}
    with pytest.raises(InputError, match="choose another --grpc_socket_path"):
        GrpcServer("127.0.0.1", 0, 2, None, str(tmp_path / "no such folder" / "films"))
