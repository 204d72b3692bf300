"""What is served, written down for a sample of users under pseudonyms, so that its quality can be told later.

`tfllmrec.monitoring` reads it. No request waits for it: what is served waits in a queue of bounded length for
a thread that does all the work, and what finds no room there is counted.
"""

import base64
import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel, ConfigDict, model_validator

from tfllmrec.data.pseudonymisation import pseudonyms
from tfllmrec.errors import InputError

ITEMS, SCORES = "item_ids", "scores"
_USERS = "user_id"
_MOST_WAITING = 10_000
"""Lists that may wait to be written: some tens of megabytes."""
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
"""What the last lists get to be written once the server ends."""
_log = logging.getLogger(__name__)


class Impression(BaseModel):
    """A list that was served, a line of the file.

    Attributes:
        time: when, in Unix seconds.
        model: its name.
        version: which one answered.
        label: the one that was asked for; "" where none was.
        signature: which one answered.
        user: a pseudonym, see `tfllmrec.data.pseudonymisation.pseudonyms`; "" where the request named no user.
        item_ids: best first.
        scores: one an item; none where the request asked for none.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    time: float
    model: str
    version: int
    label: str
    signature: str
    user: str
    item_ids: list[str]
    scores: list[float]

    @model_validator(mode="after")
    def _score_an_item(self) -> Self:
        if self.scores and len(self.scores) != len(self.item_ids):
            raise ValueError(f"{len(self.item_ids)} items have {len(self.scores)} scores")
        return self


class RecommendationLog:
    """Writes lists to a file, a line of JSON each, for as long as the server lives.

    A user is in the sample or not, always: what the pseudonym starts with decides, so what is served to one can be
    followed. Rows that name no user are drawn one by one. The file is only appended to, and made anew where it was
    moved away.

    Args:
        path: the file, in a folder that is there.
        key: of the pseudonyms, see `tfllmrec.data.pseudonymisation.read_key`.
        sampling_rate: share of the users, and of the rows without one.
        most_waiting: lists that may wait to be written.
        seed: of the draws among rows without a user.

    Raises:
        InputError: the rate is not above 0 and at most 1, or the file cannot be written to.

    Example:
        >>> log = RecommendationLog(Path("served.jsonl"), read_key("films.key"), sampling_rate=0.01)
        >>> ModelServer(configs, recommendation_log=log)
    """

    def __init__(
        self, path: Path, key: bytes, sampling_rate: float = 0.01, *, most_waiting: int = _MOST_WAITING, seed: int = 0
    ) -> None:
        if not 0 < sampling_rate <= 1:
            raise InputError(f"served lists: the sampling rate is {sampling_rate:g}, and must be above 0 and at most 1")
        self._path, self._key, self._rate, self._most = path, key, sampling_rate, most_waiting
        try:
            self._file = _opened(path)
        except OSError as error:
            raise InputError(f"served lists cannot be written to {path}: {error.strerror}") from error
        self._random = random.Random(seed)
        self._lock, self._counts = threading.Lock(), Counter[str]()
        self._waiting, self._waiting_rows = list[_Answer](), 0
        self._told, self._closing = "", threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, spec: Any, label: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        """Take note of an answer, if it is made of lists of items; waits for nothing.

        Args:
            spec: the `ModelSpec` that answered.
            label: the one that was asked for, or "".
            inputs: of the request.
            outputs: of the answer.
        """
        items = outputs.get(ITEMS)
        if items is None or items.dtype.kind != "O" or items.ndim != 2:
            return
        answer = _Answer(time.time(), spec, label, inputs.get(_USERS), items, outputs.get(SCORES))
        with self._lock:
            if self._waiting_rows + len(items) > self._most:
                self._counts["dropped"] += len(items)
            else:
                self._waiting.append(answer)
                self._waiting_rows += len(items)

    def collect(self) -> Iterator[Metric]:
        """What became of the lists, for Prometheus: written, left out of the sample, failed, dropped unseen."""
        metric = Metric(":tfllmrec:serving:served_list_count", "Served lists by what became of them.", "untyped")
        for status in ("written", "left_out", "failed", "dropped"):
            metric.add_sample(metric.name, {"status": status}, self._counts[status])
        yield metric

    def close(self) -> None:
        """Write what waits, and no more than some seconds long."""
        self._closing.set()
        self._thread.join(_PATIENCE_SECONDS)

    def _work(self) -> None:
        """Write what has come, again and again: seldom, for every turn of this thread interrupts those that answer."""
        closing = False
        while not closing:
            closing = self._closing.wait(_PAUSE_SECONDS)
            with self._lock:
                answers, self._waiting, self._waiting_rows = self._waiting, [], 0
            if answers:
                self._write(answers)
        self._file.close()

    def _write(self, answers: "list[_Answer]") -> None:
        lists, failed = list[Impression](), 0
        for answer in answers:
            try:
                lists += self._sampled(answer)
            except Exception as error:  # scores that are no numbers, say
                failed += len(answer.items)
                self._tell(str(error))
        try:
            if lists:
                self._append("".join(f"{one.model_dump_json()}\n" for one in lists).encode())
        except Exception as error:  # a full disk; the thread lives on
            failed, lists = failed + len(lists), []
            self._tell(str(error))
        if not failed:
            self._told = ""
        with self._lock:
            self._counts["failed"] += failed
            self._counts["written"] += len(lists)
            self._counts["left_out"] += sum(len(answer.items) for answer in answers) - failed - len(lists)

    def _tell(self, error: str) -> None:
        """Log what went wrong, once as long as it is the same; requests are answered all the same."""
        if error != self._told:
            _log.warning("served lists are not written to %s: %s", self._path, error)
        self._told = error

    def _sampled(self, answer: "_Answer") -> list[Impression]:
        spec, lists = answer.spec, []
        for row, user in enumerate(self._users(answer)):
            if not self._is_sampled(user):
                continue
            there = answer.items[row] != b""
            lists.append(
                Impression(
                    time=round(answer.time, 3),
                    model=spec.name,
                    version=spec.version.value,
                    label=answer.label,
                    signature=spec.signature_name,
                    user=user,
                    item_ids=[item.decode("utf-8", "replace") for item in answer.items[row][there].tolist()],
                    scores=[] if answer.scores is None else answer.scores[row][there].tolist(),
                )
            )
        return lists

    def _users(self, answer: "_Answer") -> list[str]:
        """A pseudonym a row, "" for nobody."""
        ids = answer.users
        if ids is None or ids.dtype.kind != "O" or ids.shape != (len(answer.items),):
            return [""] * len(answer.items)
        texts = [each.decode("utf-8", "surrogateescape") for each in ids.tolist()]
        return [pseudonyms([each], self._key)[0] if each else "" for each in texts]

    def _is_sampled(self, user: str) -> bool:
        return (share_of(user) if user else self._random.random()) < self._rate

    def _append(self, lines: bytes) -> None:
        """Write lines, to a new file where the old one was moved away, and after what a failure left of a line."""
        if not self._file.closed and not _is_at(self._path, self._file):
            self._file.close()
        if self._file.closed:
            self._file = _opened(self._path)
        if self._file.write(lines) < len(lines):
            self._file.close()
            raise OSError("the disk is full")


class _Answer(NamedTuple):
    """An answer that waits: its rows are looked at in the thread that writes."""

    time: float
    spec: Any
    label: str
    users: np.ndarray | None
    items: np.ndarray
    scores: np.ndarray | None


def share_of(pseudonym: str) -> float:
    """Where a pseudonym stands between 0 and 1: a sample of a rate is those below it.

    Example:
        >>> share_of("tqhybpldhke3urnjxrqxfaumswtqnfzo")
        0.6096115553255004
    """
    return int.from_bytes(base64.b32decode(pseudonym[:8].upper())) / 2**40


def _opened(path: Path) -> FileIO:
    """The file, to be appended to, and not for everybody; after a line that was cut short comes an empty one."""
    file = open(path, "a+b", buffering=0, opener=partial(os.open, mode=0o640))  # noqa: SIM115, it stays open
    if file.seek(0, 2):
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n\n")
    return file


def _is_at(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False
