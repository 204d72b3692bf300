"""Integrity of a model repository after its process is killed during changes.

    python -m benchmarks.robustness.kills [--record]

A process publishes, promotes and prunes versions of a small two-tower, one change after the other. It is killed
(SIGKILL) during a random change, at a random moment within its usual duration, and another process continues. After
every kill:

- the labels are those from before or after the interrupted change;
- every labelled version passes the check of `tfllmrec publish`: it loads in TF Serving's C++ runtime and returns the
  recorded responses;
- every other version is complete;
- only versions that `prune` was to remove are missing.

Prints one JSON line: how often each change was interrupted, and all violations (`wrong`). Target: none in 50 kills. It
takes five minutes.
"""

import multiprocessing
import random
import shutil
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.serving.load import rounded
from benchmarks.serving.small_server import small_two_tower
from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.checksums import check_checksums
from tfllmrec.export.versions import version_folders
from tfllmrec.quiet import suppress_stderr
from tfllmrec.repository import Repository
from tfllmrec.repository.check import check_version

MODEL, KEEP = "films", 2
CHANGES = ("publish", "promote", "prune")
PROCESSES = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class State:
    """The versions of a model and their labels."""

    versions: frozenset[int]
    labels: dict[str, int]

    @classmethod
    def of(cls, repository: Repository) -> "State":
        """Return the present state of a repository."""
        return cls(frozenset(version_folders(repository.folder / MODEL)), repository.labels(MODEL))

    def after(self, change: str, number: int) -> "State":
        """Return the state after a change of version `number`."""
        if change == "publish":
            label = "canary" if "stable" in self.labels else "stable"
            return State(self.versions | {number}, self.labels | {label: number})
        if change == "promote" and "canary" in self.labels:
            moved = {"stable": self.labels["canary"], "previous": self.labels["stable"]}
            return State(self.versions, moved)
        if change == "prune":
            kept = {*sorted(self.versions)[-KEEP:], *self.labels.values()}
            return State(self.versions & kept, self.labels)
        return self


def change_forever(folder: Path, exported: Path, sender: Connection) -> None:
    """Publish, promote and prune in an endless loop, and send every change before it begins."""
    repository, copies = Repository(folder), folder.with_name("copies") / MODEL
    for number in count(max(State.of(repository).versions, default=0) + 1):
        shutil.copytree(exported, copies / str(number), dirs_exist_ok=True)
        for change in CHANGES:
            state = State.of(repository)
            sender.send((change, number, state))
            if change == "publish":
                repository.publish(copies / str(number))
            elif change == "prune":
                repository.prune(MODEL, keep=KEEP)
            elif "canary" in state.labels:
                repository.promote(MODEL)
        shutil.rmtree(copies / str(number))


def violation(repository: Repository, change: str, number: int, before: State) -> str:
    """Return the violated guarantee after an interrupted change, or ""."""
    after, actual = before.after(change, number), State.of(repository)
    if actual.labels not in (before.labels, after.labels):
        return f"labels {actual.labels}, after {before.labels}"
    if lost := (before.versions & after.versions) - actual.versions:
        return f"lost {sorted(lost)}"
    try:
        for version in actual.versions | {*actual.labels.values()}:
            folder = repository.folder / MODEL / str(version)
            (check_version if version in actual.labels.values() else check_checksums)(folder)
    except InputError as error:
        return str(error)
    return ""


class Worker:
    """A process that changes a repository and is killed at the end of the block.

    Attributes:
        last: the change that it began last, the number of its version, and the state before it.
    """

    last: tuple[str, int, State]

    def __init__(self, repository: Repository, exported: Path) -> None:
        self._receiver, sender = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(
            target=change_forever, args=(repository.folder, exported, sender), daemon=True
        )
        self._process.start()
        sender.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()
        with suppress(EOFError):
            while self._receiver.poll():
                self.last = self._receiver.recv()

    def until(self, change: str) -> None:
        """Wait until the process begins a change."""
        self.last = self._receiver.recv()
        while self.last[0] != change:
            self.last = self._receiver.recv()


def change_durations(repository: Repository, exported: Path) -> dict[str, float]:
    """Return the seconds of each change in the second round."""
    with Worker(repository, exported) as worker:
        begun = []
        worker.until("prune")
        for change in (*CHANGES, CHANGES[0]):
            worker.until(change)
            begun.append(time.perf_counter())
    return {change: end - start for change, start, end in zip(CHANGES, begun, begun[1:], strict=False)}


def measure(folder: Path, kills: int, seed: int) -> dict[str, object]:
    with suppress_stderr():
        two_tower = small_two_tower()
        exported, repository = export(two_tower, folder / "exported"), Repository(folder / "models")
        seconds, draw = change_durations(repository, exported), random.Random(seed)
    interrupted, wrong = Counter[str](), list[str]()
    for kill in range(1, kills + 1):
        change = draw.choice(CHANGES)
        with Worker(repository, exported) as worker:
            worker.until(change)
            time.sleep(draw.uniform(0, seconds[change]))
        interrupted[worker.last[0]] += 1
        with suppress_stderr():
            sentence = violation(repository, *worker.last)
        wrong += [f"{worker.last[0]} {worker.last[1]}: {sentence}"] if sentence else []
        progress(f"kill {kill} of {kills}, in {worker.last[0]}")
    result = {"broken_off": dict(interrupted), "wrong": wrong, "seconds": seconds}
    return {"benchmark": "kills", "kills": kills, "seed": seed} | rounded(result)


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--kills", type=int, default=50, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of changes and moments")
    options = parser.parse_args()
    PROCESSES.set_forkserver_preload(["tfllmrec.repository"])
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.kills, options.seed)
    report(result, "kills" if options.record else None)


if __name__ == "__main__":
    main()
