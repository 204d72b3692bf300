"""Is a model repository whole after whatever changes it was killed?

    python -m benchmarks.robustness.kills [--record]

A process publishes, promotes and prunes versions of a small two-tower, one after the other. It is killed (SIGKILL) in
one of these changes, drawn at random, at a moment drawn from the time that this change takes; another process goes on.
After every kill the labels are those from before or after the change that was broken off, every version that has one
passes the check of `tfllmrec publish` (it loads in TF Serving's C++ runtime and answers as recorded), every other one
is whole, and only versions that prune was to remove are gone. Prints one JSON line: which changes were broken off how
often, and what was found wrong. Asked for: nothing, in 50 kills.
"""

import argparse
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

from benchmarks.common import progress, report
from benchmarks.serving.load import rounded
from tfllmrec import TwoTower, checkerboard
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
        """As they are."""
        return cls(frozenset(version_folders(repository.folder / MODEL)), repository.labels(MODEL))

    def after(self, change: str, number: int) -> "State":
        """What a change makes of them."""
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


def change_on(folder: Path, made: Path, tell: Connection) -> None:
    """Publish, promote and prune for ever; what is about to be done is told."""
    repository, copies = Repository(folder), folder.with_name("copies") / MODEL
    for number in count(max(State.of(repository).versions, default=0) + 1):
        shutil.copytree(made, copies / str(number), dirs_exist_ok=True)
        for change in CHANGES:
            state = State.of(repository)
            tell.send((change, number, state))
            if change == "publish":
                repository.publish(copies / str(number))
            elif change == "prune":
                repository.prune(MODEL, keep=KEEP)
            elif "canary" in state.labels:
                repository.promote(MODEL)
        shutil.rmtree(copies / str(number))


def wrong_after(repository: Repository, change: str, number: int, before: State) -> str:
    """What is not as it may be after a change was broken off; "" where all is well."""
    after, found = before.after(change, number), State.of(repository)
    if found.labels not in (before.labels, after.labels):
        return f"labels {found.labels}, after {before.labels}"
    if lost := (before.versions & after.versions) - found.versions:
        return f"lost {sorted(lost)}"
    try:
        for one in found.versions | {*found.labels.values()}:
            folder = repository.folder / MODEL / str(one)
            (check_version if one in found.labels.values() else check_checksums)(folder)
    except InputError as error:
        return str(error)
    return ""


class Worker:
    """A process that changes a repository, and is killed at the end of the block.

    Attributes:
        told: what it did last: the change, the number of a version, and the state before it.
    """

    told: tuple[str, int, State]

    def __init__(self, repository: Repository, made: Path) -> None:
        self._listen, tell = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(target=change_on, args=(repository.folder, made, tell), daemon=True)
        self._process.start()
        tell.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()
        with suppress(EOFError):
            while self._listen.poll():
                self.told = self._listen.recv()

    def until(self, change: str) -> None:
        """Wait until it is about to do a change."""
        self.told = self._listen.recv()
        while self.told[0] != change:
            self.told = self._listen.recv()


def times_of_changes(repository: Repository, made: Path) -> dict[str, float]:
    """Seconds, in a round that is not the first."""
    with Worker(repository, made) as worker:
        begun = []
        worker.until("prune")
        for change in (*CHANGES, CHANGES[0]):
            worker.until(change)
            begun.append(time.perf_counter())
    return {change: end - start for change, start, end in zip(CHANGES, begun, begun[1:], strict=False)}


def measure(folder: Path, kills: int, seed: int) -> dict[str, object]:
    with suppress_stderr():
        two_tower = TwoTower(dim=16, hidden_units=16, epochs=1).fit(checkerboard().data, verbose=0)
        made, repository = export(two_tower, folder / "made"), Repository(folder / "models")
        seconds, draw = times_of_changes(repository, made), random.Random(seed)
    broken_off, wrong = Counter[str](), list[str]()
    for kill in range(1, kills + 1):
        change = draw.choice(CHANGES)
        with Worker(repository, made) as worker:
            worker.until(change)
            time.sleep(draw.uniform(0, seconds[change]))
        broken_off[worker.told[0]] += 1
        with suppress_stderr():
            sentence = wrong_after(repository, *worker.told)
        wrong += [f"{worker.told[0]} {worker.told[1]}: {sentence}"] if sentence else []
        progress(f"kill {kill} of {kills}, in {worker.told[0]}")
    found = {"broken_off": dict(broken_off), "wrong": wrong, "seconds": seconds}
    return {"benchmark": "killed", "kills": kills, "seed": seed} | rounded(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    options = parser.parse_args()
    PROCESSES.set_forkserver_preload(["tfllmrec.repository"])
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.kills, options.seed)
    report(result, "killed" if options.record else None)


if __name__ == "__main__":
    main()
