"""Channels of the clients: retries, several addresses, encryption, Unix sockets."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import trustme
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tfllmrec.serving.config_files import MESSAGES, server_credentials
from tfllmrec.serving.grpc_server import GrpcServer
from tfllmrec_client import InputError, RequestError

UNAVAILABLE, ABORTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED


class FailingService(model_service_pb2_grpc.ModelServiceServicer):
    """A service that fails a number of times before it responds, and counts its requests."""

    def __init__(self, failures=0, code=UNAVAILABLE):
        self.failures, self.code, self.requests = failures, code, 0

    def GetModelStatus(self, request, context):  # noqa: N802
        self.requests += 1
        if self.requests <= self.failures:
            context.abort(self.code, "failure")
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(version=7, state=30)
        return response


@pytest.fixture
def start():
    """Return a function that starts a server with a service and returns its address."""
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


def test_an_unavailable_server_is_retried(client_class, start):
    service = FailingService(failures=3)
    with client_class(start(service), "films") as client:
        assert client.status() == {7: "AVAILABLE"}
    assert service.requests == 4


@pytest.mark.parametrize(("code", "requests"), [(ABORTED, 1), (grpc.StatusCode.INTERNAL, 1), (UNAVAILABLE, 4)])
def test_only_unavailable_is_retried_and_at_most_three_times(client_class, start, code, requests):
    service = FailingService(failures=9, code=code)
    with client_class(start(service), "films") as client, pytest.raises(RequestError) as error:
        client.status()
    assert (error.value.code, service.requests) == (code, requests)


def test_the_timeout_ends_the_retries(client_class, start):
    service = FailingService(failures=9)
    with client_class(start(service), "films") as client, pytest.raises(RequestError) as error:
        client.status(timeout=0.01)
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.requests < 4


def test_several_servers_share_the_requests_and_an_unreachable_one_is_passed_over(client_class, start):
    services = FailingService(), FailingService()
    stopped = GrpcServer("127.0.0.1", 0, 1)
    addresses = [start(service) for service in services]
    port = stopped.port
    stopped.stop(0)
    with client_class([*addresses, f"localhost:{port}"], "films") as client:
        while not all(service.requests for service in services):
            assert client.status() == {7: "AVAILABLE"}
    assert client.server == f"{addresses[0]} or {addresses[1]} or localhost:{port}"


@pytest.mark.parametrize(
    ("servers", "message"),
    [([], "give at least one server"), (["localhost:1", "no.such.host.invalid:1"], "cannot be resolved")],
)
def test_addresses_that_cannot_be_resolved_are_refused(client_class, servers, message):
    with pytest.raises(InputError, match=message):
        client_class(servers, "films")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def config(authority, tmp_path):
    """Return a function that writes an SSL configuration with changes."""

    def write(**changes):
        certificate = authority.issue_cert("localhost")
        fields = {
            "server_key": certificate.private_key_pem.bytes().decode(),
            "server_cert": certificate.cert_chain_pems[0].bytes().decode(),
        }
        path = tmp_path / "ssl.config"
        path.write_text(text_format.MessageToString(MESSAGES["SSLConfig"](**fields | changes)))
        return path

    return write


class Core:
    """The core of a server without models; any response proves the connection."""

    def status(self, spec):
        return get_model_status_pb2.GetModelStatusResponse()


@pytest.fixture
def start_grpc_server():
    """Return a function that starts a `GrpcServer` and returns its address."""
    started = []

    def start(*arguments):
        started.append(GrpcServer("127.0.0.1", 0, 2, *arguments))
        started[-1].start(Core())
        return f"localhost:{started[-1].port}"

    yield start
    for server in started:
        server.stop(0)


def pem(blob):
    return blob.bytes()


def test_an_encrypted_server_is_reached_with_its_authority_only(client_class, start_grpc_server, config, authority):
    address = start_grpc_server(server_credentials(config()))
    trusted = grpc.ssl_channel_credentials(pem(authority.cert_pem))
    with client_class(address, "films", credentials=trusted) as client:
        assert client.status() == {}
    other = grpc.ssl_channel_credentials(pem(trustme.CA().cert_pem))
    for credentials in (None, other):
        with client_class(address, "films", credentials=credentials) as client, pytest.raises(RequestError) as error:
            client.status()
        assert error.value.code is UNAVAILABLE


def test_a_server_can_require_a_client_certificate(client_class, start_grpc_server, config, authority):
    verifying = config(client_verify=True, custom_ca=pem(authority.cert_pem).decode())
    address = start_grpc_server(server_credentials(verifying))
    certificate = authority.issue_cert("client")
    pair = pem(certificate.private_key_pem), pem(certificate.cert_chain_pems[0])
    known = grpc.ssl_channel_credentials(pem(authority.cert_pem), *pair)
    with client_class(address, "films", credentials=known) as client:
        assert client.status() == {}
    unknown = grpc.ssl_channel_credentials(pem(authority.cert_pem))
    with client_class(address, "films", credentials=unknown) as client, pytest.raises(RequestError) as error:
        client.status()
    assert error.value.code is UNAVAILABLE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"server_key": ""}, "give server_key and server_cert"),
        ({"server_cert": ""}, "give server_key and server_cert"),
        ({"client_verify": True}, "client_verify needs custom_ca"),
    ],
)
def test_incomplete_ssl_configurations_are_refused(config, changes, message):
    with pytest.raises(InputError, match=message):
        server_credentials(config(**changes))


def test_a_unix_socket_serves(client_class, start_grpc_server, tmp_path):
    start_grpc_server(None, str(tmp_path / "films"))
    with client_class(f"unix:{tmp_path / 'films'}", "films") as client:
        assert client.status() == {}
    with pytest.raises(InputError, match="choose another --grpc_socket_path"):
        GrpcServer("127.0.0.1", 0, 2, None, str(tmp_path / "no such folder" / "films"))


def test_a_unix_socket_is_encrypted_as_the_port_is(start_grpc_server, config, authority, tmp_path):
    address, request = (
        f"unix:{tmp_path / 'films'}",
        get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "a"}),
    )
    start_grpc_server(server_credentials(config()), str(tmp_path / "films"))
    trusted = grpc.ssl_channel_credentials(pem(authority.cert_pem))
    with grpc.secure_channel(address, trusted, [("grpc.ssl_target_name_override", "localhost")]) as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60)
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as error:
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60)
    assert error.value.code() is UNAVAILABLE
