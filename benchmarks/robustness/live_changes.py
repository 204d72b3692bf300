"""Failed requests while versions, labels and the configuration of a running model server change.

    python -m benchmarks.robustness.live_changes [--seconds 60]

A small two-tower in a model repository is served with batching by a process that polls files and configuration. 32
requests for its stable version are in flight all the time. Meanwhile, in a loop: a version is published and promoted,
rolled back; a broken version appears, which the check of `publish` would have refused; the configuration is reloaded by
gRPC; another model is added and removed; old versions are pruned. Every step waits until the server shows it.

Prints one JSON line: responses, failed requests, latencies, and the number of changes of each kind. Target: no failed
request in a minute. It takes two minutes.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import grpc
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub

from benchmarks.common import benchmark_parser, report
from benchmarks.serving.load import PREDICT, in_flight, rounded, serialized_request
from benchmarks.serving.small_server import small_two_tower
from tfllmrec.export import export
from tfllmrec.export.versions import version_folders
from tfllmrec.quiet import suppress_stderr
from tfllmrec.repository import Repository
from tfllmrec.repository.configs import write_labels
from tfllmrec.serving import Client, RequestError, ServerProcess
from tfllmrec.serving.configuration import read_config

CONCURRENCY = 32
POLLS = ("--model_config_file_poll_wait_seconds", "1", "--file_system_poll_wait_seconds", "1")


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="minimum duration of the load")
    arguments = parser.parse_args()
    two_tower = small_two_tower()
    with tempfile.TemporaryDirectory() as folder:
        exported = export(two_tower, Path(folder) / "films")
        repository = Repository(Path(folder) / "models")
        with suppress_stderr():
            repository.publish(exported)
        files = {flag: repository.folder / f"{flag}.config" for flag in ("models", "batching")}
        flags = ("--enable_batching", "--batching_parameters_file", files["batching"], *POLLS)
        with (
            ServerProcess("--model_config_file", files["models"], *flags) as server,
            grpc.insecure_channel(server.grpc_address) as channel,
            ThreadPoolExecutor(1) as pool,
        ):
            method = channel.unary_unary(PREDICT)
            load = pool.submit(in_flight, method, requests(), CONCURRENCY, seconds=arguments.seconds)
            counts: Counter[str] = Counter()
            for change in Changes(repository, exported, server.grpc_address):
                if load.done():
                    break
                change()
                counts[change.__name__] += 1
            outcome = load.result()
    result = {"benchmark": "live_changes", "concurrency": CONCURRENCY, "responses": len(outcome.latencies)}
    result |= rounded(outcome.summary()) | {"changes": dict(counts), "failures": outcome.failures[:3]}
    report(result, "live_changes" if arguments.record else None)


def requests() -> list[bytes]:
    """Return requests for the stable version: users with histories of 0 to 3 items."""
    spec = {"name": "films", "signature_name": "retrieve", "version_label": "stable"}
    serialized = []
    for user in range(40):
        history = ["", *(f"i{item:02}" for item in range(user % 4))]
        serialized.append(
            serialized_request({"user_id": [str(user)], "history": [history], "exclude_item_ids": [[""]]}, **spec)
        )
    return serialized


class Changes:
    """Changes of a running server; each method waits until the server shows the change.

    Args:
        repository: repository with a stable version of films.
        exported: the export of that version; further versions are copies of it.
        address: gRPC address of the server.
    """

    def __init__(self, repository: Repository, exported: Path, address: str) -> None:
        self._repository, self._exported, self._address = repository, exported, address
        self._films, self._config = repository.folder / "films", repository.folder / "models.config"

    def __iter__(self) -> Iterator[Callable[[], None]]:
        """Return an endless iterator over the changes."""
        others = [self.broken_version, self.reload, self.other_model, self.prune]
        return cycle([self.publish, self.promote, self.rollback, self.publish, self.promote, *others])

    def publish(self) -> None:
        """Publish a new version as canary."""
        number = max(version_folders(self._films)) + 1
        self._repository.publish(self._copy("films", number))
        self._wait("AVAILABLE", number)

    def promote(self) -> None:
        """Make the canary stable."""
        self._repository.promote("films")

    def rollback(self) -> None:
        """Make the previous stable version stable again."""
        unloaded = self._repository.labels("films")["stable"]
        self._repository.rollback("films")
        self._wait("", unloaded)

    def broken_version(self) -> None:
        """Place a broken version in the served folder and label it, without the check of `publish`; then roll back."""
        number = max(version_folders(self._films)) + 1
        copy = shutil.copytree(self._exported, self._films / ".broken")
        (copy / "saved_model.pb").write_bytes(b"not a model")
        broken = copy.rename(self._films / str(number))
        write_labels(self._repository.folder, "films", self._repository.labels("films") | {"canary": number})
        self._wait("END", number)
        self._repository.rollback("films", canary=True)
        self._wait("", number)
        shutil.rmtree(broken)

    def reload(self) -> None:
        """Send the present configuration by gRPC."""
        request = ReloadConfigRequest()
        request.config.model_config_list.config.extend(read_config(self._config))
        with grpc.insecure_channel(self._address) as channel:
            ModelServiceStub(channel).HandleReloadConfigRequest(request)

    def other_model(self) -> None:
        """Add another model and remove it."""
        before = self._config.read_bytes()
        self._repository.publish(self._copy("more", 1))
        self._wait("AVAILABLE", 1, "more")
        new = self._config.with_name("new")
        new.write_bytes(before)
        new.rename(self._config)
        self._wait("", 1, "more")

    def prune(self) -> None:
        """Remove all versions but the labelled ones and the newest."""
        self._repository.prune("films", keep=1)

    def _copy(self, model: str, number: int) -> Path:
        return shutil.copytree(
            self._exported, self._exported.parents[1] / "copies" / model / str(number), dirs_exist_ok=True
        )

    def _wait(self, state: str, number: int, model: str = "films") -> None:
        """Wait until a version has a state on the server; "" means that the server does not have it."""
        with Client(self._address, model) as client:
            while self._state(client, number) != state:
                pass

    def _state(self, client: Client, number: int) -> str:
        try:
            return client.status().get(number, "")
        except RequestError:
            return ""


if __name__ == "__main__":
    main()
