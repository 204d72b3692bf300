"""Log of served recommendations, for a sample of users under pseudonyms. `tfllmrec.monitoring` reads it.

Requests never wait for the log: responses go into a bounded queue, and a thread samples and writes them. Responses
that do not fit into the queue are counted and dropped.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prometheus_client.metrics_core import Metric

from tfllmrec.data.pseudonymisation import pseudonyms
from tfllmrec.errors import InputError
from tfllmrec.monitoring.impression import Impression, sampling_position
from tfllmrec.monitoring.log_file import LogFile

_ITEMS, _SCORES, _USERS = "item_ids", "scores", "user_id"
_MAX_QUEUED = 10_000
"""Default number of lists in the queue: some tens of megabytes."""
_WRITE_INTERVAL_SECONDS = 0.1
_CLOSE_TIMEOUT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class RecommendationLog:
    """Write served lists to a file, one `Impression` in JSON per line.

    A hash of the pseudonym decides whether a user is in the sample, so that the sample contains either all lists of a
    user or none. Rows without a user are sampled independently. The file is only appended to, and created again after
    it was moved away.

    Args:
        path: file in an existing folder.
        key: key of the pseudonyms, see `tfllmrec.data.pseudonymisation.read_key`.
        sampling_rate: share of users, and of rows without a user, in the log.
        max_queued: number of lists that may wait in the queue.
        seed: seed of the sample of rows without a user.

    Raises:
        InputError: If the rate is not in (0, 1], or the file cannot be written.

    Example:
        >>> log = RecommendationLog(Path("served.jsonl"), read_key("films.key"), sampling_rate=0.01)
        >>> ModelServer(configs, recommendation_log=log)
    """

    def __init__(
        self, path: Path, key: bytes, sampling_rate: float = 0.01, *, max_queued: int = _MAX_QUEUED, seed: int = 0
    ) -> None:
        if not 0 < sampling_rate <= 1:
            raise InputError(
                f"recommendation log: the sampling rate must be above 0 and at most 1, not {sampling_rate:g}"
            )
        self._path, self._key, self._rate, self._max_queued = path, key, sampling_rate, max_queued
        try:
            self._file = LogFile(path)
        except OSError as error:
            raise InputError(f"recommendation log: {path} cannot be written: {error.strerror}") from error
        self._random = random.Random(seed)
        self._lock, self._counts = threading.Lock(), Counter[str]()
        self._queue, self._queued_rows = list[_Response](), 0
        self._logged_error, self._closing = "", threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, spec: Any, label: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        """Queue a response if it has lists of items. Return immediately.

        Args:
            spec: the `ModelSpec` of the version that ran.
            label: requested version label, or "".
            inputs: inputs of the request.
            outputs: outputs of the response.
        """
        items = outputs.get(_ITEMS)
        if items is None or items.dtype.kind != "O" or items.ndim != 2:
            return
        response = _Response(time.time(), spec, label, inputs.get(_USERS), items, outputs.get(_SCORES))
        with self._lock:
            if self._queued_rows + len(items) > self._max_queued:
                self._counts["dropped"] += len(items)
            else:
                self._queue.append(response)
                self._queued_rows += len(items)

    def collect(self) -> Iterator[Metric]:
        """Return the number of lists for Prometheus by status: written, left_out (of the sample), failed, dropped."""
        metric = Metric(":tfllmrec:serving:recommendation_log_count", "Recommended lists by logging status.", "untyped")
        for status in ("written", "left_out", "failed", "dropped"):
            metric.add_sample(metric.name, {"status": status}, self._counts[status])
        yield metric

    def close(self) -> None:
        """Write the queued lists, for at most 10 seconds, and close the file."""
        self._closing.set()
        self._thread.join(_CLOSE_TIMEOUT_SECONDS)

    def _work(self) -> None:
        """Write the queue at intervals. More frequent writes would interrupt the threads that serve requests."""
        closing = False
        while not closing:
            closing = self._closing.wait(_WRITE_INTERVAL_SECONDS)
            with self._lock:
                responses, self._queue, self._queued_rows = self._queue, [], 0
            if responses:
                self._write(responses)
        self._file.close()

    def _write(self, responses: "Sequence[_Response]") -> None:
        impressions, failed = list[Impression](), 0
        for response in responses:
            try:
                impressions += self._sample(response)
            except Exception as error:  # for instance a score that is not finite
                failed += len(response.items)
                self._log_error(str(error))
        try:
            if impressions:
                self._file.append("".join(f"{each.model_dump_json()}\n" for each in impressions).encode())
        except Exception as error:  # for instance a full disk
            failed, impressions = failed + len(impressions), []
            self._log_error(str(error))
        if not failed:
            self._logged_error = ""
        rows = sum(len(response.items) for response in responses)
        with self._lock:
            self._counts["failed"] += failed
            self._counts["written"] += len(impressions)
            self._counts["left_out"] += rows - failed - len(impressions)

    def _log_error(self, error: str) -> None:
        """Log an error, once while its message stays the same."""
        if error != self._logged_error:
            _log.warning("recommendation log %s is not written: %s", self._path, error)
        self._logged_error = error

    def _sample(self, response: "_Response") -> list[Impression]:
        spec, impressions = response.spec, []
        for row, user in enumerate(self._pseudonyms(response)):
            if not self._is_sampled(user):
                continue
            present = response.items[row] != b""
            impressions.append(
                Impression(
                    time=round(response.time, 3),
                    model=spec.name,
                    version=spec.version.value,
                    label=response.label,
                    signature=spec.signature_name,
                    user=user,
                    item_ids=[item.decode("utf-8", "replace") for item in response.items[row][present].tolist()],
                    scores=[] if response.scores is None else response.scores[row][present].tolist(),
                )
            )
        return impressions

    def _pseudonyms(self, response: "_Response") -> list[str]:
        """Return a pseudonym per row; "" for a row without a user."""
        ids = response.users
        if ids is None or ids.dtype.kind != "O" or ids.shape != (len(response.items),):
            return [""] * len(response.items)
        texts = [user.decode("utf-8", "surrogateescape") for user in ids.tolist()]
        return [pseudonyms([text], self._key)[0] if text else "" for text in texts]

    def _is_sampled(self, pseudonym: str) -> bool:
        return (sampling_position(pseudonym) if pseudonym else self._random.random()) < self._rate


class _Response(NamedTuple):
    """Queued response."""

    time: float
    spec: Any
    label: str
    users: np.ndarray | None
    items: np.ndarray
    scores: np.ndarray | None
