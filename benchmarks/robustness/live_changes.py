"""Does any request fail while everything that can be changed on a model server is changed?

    python -m benchmarks.robustness.live_changes [--seconds 60]

A small two-tower in a model repository, served with batching by a process that polls files and configuration; 32
requests for its stable version are in flight all the time. Meanwhile, again and again: a version is published and
promoted, rolled back, one that is broken appears (behind the back of the check that refuses it), the configuration is
given once more by gRPC, another model comes and goes, old versions are pruned. Every step waits until the server shows
it. Prints one JSON line: answers, failed requests, latencies, how often each change was made.
"""

import argparse
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

from benchmarks.common import report
from benchmarks.serving.load import PREDICT, at_once, packed, rounded
from tfllmrec import TwoTower, checkerboard
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the load lasts at least")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    arguments = parser.parse_args()
    two_tower = TwoTower(dim=16, hidden_units=16, epochs=1).fit(checkerboard().data, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        made = export(two_tower, Path(folder) / "films")
        repository = Repository(Path(folder) / "models")
        with suppress_stderr():
            repository.publish(made)
        files = {flag: repository.folder / f"{flag}.config" for flag in ("models", "batching")}
        flags = ("--enable_batching", "--batching_parameters_file", files["batching"], *POLLS)
        with (
            ServerProcess("--model_config_file", files["models"], *flags) as server,
            grpc.insecure_channel(server.grpc_address) as channel,
            ThreadPoolExecutor(1) as pool,
        ):
            method = channel.unary_unary(PREDICT)
            load = pool.submit(at_once, method, requests(), CONCURRENCY, seconds=arguments.seconds)
            done: Counter[str] = Counter()
            for change in Changes(repository, made, server.grpc_address):
                if load.done():
                    break
                change()
                done[change.__name__] += 1
            found = load.result()
    result = {"benchmark": "live_changes", "concurrency": CONCURRENCY, "answered": len(found.latencies)}
    result |= rounded(found.summary()) | {"changes": dict(done), "failures": found.failures[:3]}
    report(result, "live_changes" if arguments.record else None)


def requests() -> list[bytes]:
    """For the stable version: users with histories of 0 to 3 items."""
    asked = {"name": "films", "signature_name": "retrieve", "version_label": "stable"}
    made = []
    for user in range(40):
        history = ["", *(f"i{item:02}" for item in range(user % 4))]
        made.append(packed({"user_id": [str(user)], "history": [history], "exclude_item_ids": [[""]]}, **asked))
    return made


class Changes:
    """What can be changed on a server: each method waits until the server shows it.

    Args:
        repository: with a stable version of films.
        made: that version as it was exported; further ones are copies of it.
        address: of the server.
    """

    def __init__(self, repository: Repository, made: Path, address: str) -> None:
        self._repository, self._made, self._address = repository, made, address
        self._films, self._config = repository.folder / "films", repository.folder / "models.config"

    def __iter__(self) -> Iterator[Callable[[], None]]:
        """Without end."""
        others = [self.broken_version, self.reload, self.other_model, self.prune]
        return cycle([self.publish, self.promote, self.rollback, self.publish, self.promote, *others])

    def publish(self) -> None:
        """A new version, as canary."""
        number = max(version_folders(self._films)) + 1
        self._repository.publish(self._copy("films", number))
        self._wait("AVAILABLE", number)

    def promote(self) -> None:
        """The canary is stable."""
        self._repository.promote("films")

    def rollback(self) -> None:
        """What was stable before is so again."""
        bad = self._repository.labels("films")["stable"]
        self._repository.rollback("films")
        self._wait("", bad)

    def broken_version(self) -> None:
        """Put where it is served, and labelled, behind the back of the check that would refuse it."""
        number = max(version_folders(self._films)) + 1
        hidden = shutil.copytree(self._made, self._films / ".broken")
        (hidden / "saved_model.pb").write_bytes(b"no model")
        broken = hidden.rename(self._films / str(number))
        write_labels(self._repository.folder, "films", self._repository.labels("films") | {"canary": number})
        self._wait("END", number)
        self._repository.rollback("films", canary=True)
        self._wait("", number)
        shutil.rmtree(broken)

    def reload(self) -> None:
        """The configuration as it is, by gRPC."""
        request = ReloadConfigRequest()
        request.config.model_config_list.config.extend(read_config(self._config))
        with grpc.insecure_channel(self._address) as channel:
            ModelServiceStub(channel).HandleReloadConfigRequest(request)

    def other_model(self) -> None:
        """Comes and goes."""
        before = self._config.read_bytes()
        self._repository.publish(self._copy("more", 1))
        self._wait("AVAILABLE", 1, "more")
        new = self._config.with_name("new")
        new.write_bytes(before)
        new.rename(self._config)
        self._wait("", 1, "more")

    def prune(self) -> None:
        """Only versions with a label stay, and the newest."""
        self._repository.prune("films", keep=1)

    def _copy(self, model: str, number: int) -> Path:
        return shutil.copytree(self._made, self._made.parents[1] / "copies" / model / str(number), dirs_exist_ok=True)

    def _wait(self, state: str, number: int, model: str = "films") -> None:
        """Until the server says so of a version; "" is that it has none."""
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
