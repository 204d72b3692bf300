"""Dynamic batching as in TF Serving: concurrent requests run together.

Each signature of each version has a queue of batches. A request joins the last batch of its queue if it fits, else it
opens a new batch. A batch is ready when it is full, when another batch follows it, or when its timeout has passed.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import NamedTuple

import grpc
import numpy as np

from tfllmrec.serving.batch_arrays import Arrays, merge, row_count, split
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.status import seconds_left
from tfllmrec_client.status import RequestError, invalid

Run = Callable[[Arrays, float | None], Arrays]
"""Function of the inputs and the deadline of a batch."""


class _Task(NamedTuple):
    """Request, or a piece of a large request.

    The result, outputs or an error, arrives through a queue: it wakes the waiting thread at a lower cost than a
    `Future`, and each batch wakes many threads.
    """

    inputs: Arrays
    rows: int
    deadline: float | None
    result: "SimpleQueue[Arrays | Exception]"

    def wait(self) -> Arrays:
        """Wait for the outputs until the deadline; raise the error of the batch."""
        try:
            result = self.result.get(timeout=seconds_left(self.deadline))
        except Empty:
            raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed in a batching queue") from None
        if isinstance(result, Exception):
            raise result
        return result


@dataclass
class _Batch:
    opened: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0

    def add(self, task: _Task) -> None:
        self.tasks.append(task)
        self.rows += task.rows


@dataclass
class _Queue:
    run: Run
    batches: deque[_Batch] = field(default_factory=deque)


class Batcher:
    """Queues of batches, and the threads that run them.

    Args:
        parameters: batch sizes, timeout and number of threads.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self._parameters = parameters
        self._queues: dict[object, _Queue] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(parameters.num_batch_threads)]
        for thread in self._threads:
            thread.start()

    def run(self, key: object, run: Run, inputs: Arrays, deadline: float | None = None) -> Arrays:
        """Run a request, possibly together with others, and wait for its outputs.

        Args:
            key: requests with equal keys can share a batch.
            run: function that computes a batch. It must be equivalent for equal keys.
            inputs: arrays with the batch as their first dimension and at least one row.
            deadline: value of `time.monotonic()` at which the request ends; None for no limit.

        Raises:
            RequestError: INVALID_ARGUMENT, if the inputs have different numbers of rows or more than max_batch_size.
                UNAVAILABLE, if the queue is full. DEADLINE_EXCEEDED, if the deadline passes. Else the error of `run`.
        """
        rows = row_count(inputs)
        limit = self._parameters.largest_execution
        if rows > self._parameters.max_batch_size:
            maximum = self._parameters.max_batch_size
            raise invalid(f"the request has {rows} rows, and max_batch_size is {maximum}: send fewer rows")
        pieces = [
            {name: array[start : start + limit] for name, array in inputs.items()} for start in range(0, rows, limit)
        ]
        with self._changed:
            queue = self._queues.get(key) or _Queue(run)
            self._require_room(queue, rows)
            self._queues[key] = queue
            tasks = [self._enqueue(queue, piece, deadline) for piece in pieces]
            self._changed.notify(len(pieces))
        parts = [task.wait() for task in tasks]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Run the queued batches, then stop the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _require_room(self, queue: _Queue, rows: int) -> None:
        """Raise a RequestError unless the whole request fits, so that no part of a refused request runs."""
        limit = self._parameters.largest_execution
        last = queue.batches[-1].rows if queue.batches else limit
        new_batches = 0 if last + rows <= limit else math.ceil(rows / limit)
        if len(queue.batches) + new_batches > self._parameters.max_enqueued_batches:
            raise RequestError(grpc.StatusCode.UNAVAILABLE, "the batching queue is full: try again later")

    def _enqueue(self, queue: _Queue, inputs: Arrays, deadline: float | None) -> _Task:
        task = _Task(inputs, row_count(inputs), deadline, SimpleQueue())
        batches = queue.batches
        if not batches or batches[-1].rows + task.rows > self._parameters.largest_execution:
            batches.append(_Batch(time.monotonic()))
        batches[-1].add(task)
        return task

    def _work(self) -> None:
        while next_batch := self._take():
            queue, batch = next_batch
            self._execute(queue.run, batch.tasks)

    def _take(self) -> tuple[_Queue, _Batch] | None:
        """Wait for the next batch that is ready; return None when the batcher is closed and empty."""
        with self._changed:
            while True:
                if not self._queues and self._closed:
                    return None
                keys = [*self._queues]
                ready_times = [(self._ready_time(self._queues[key]), position) for position, key in enumerate(keys)]
                earliest, position = min(ready_times, default=(float("inf"), 0))
                now = time.monotonic()
                if earliest <= now:
                    self._changed.notify()  # another thread has to watch the remaining batches
                    return self._pop(keys[position])
                self._changed.wait(None if not ready_times else earliest - now)

    def _pop(self, key: object) -> tuple[_Queue, _Batch]:
        """Remove the first batch of a queue. An empty queue is removed as well, because its model may be unloaded."""
        queue = self._queues[key]
        batch = queue.batches.popleft()
        if not queue.batches:
            del self._queues[key]
        return queue, batch

    def _ready_time(self, queue: _Queue) -> float:
        """Return the time from which the first batch of a queue may run."""
        first = queue.batches[0]
        full = first.rows >= self._parameters.largest_execution or len(queue.batches) > 1
        return first.opened + (0 if full or self._closed else self._parameters.batch_timeout_micros / 1e6)

    def _execute(self, run: Run, tasks: Sequence[_Task]) -> None:
        """Run the tasks that have not expired, until the last of their deadlines."""
        now = time.monotonic()
        tasks = [task for task in tasks if task.deadline is None or task.deadline > now]
        if not tasks:
            return
        deadlines = [task.deadline for task in tasks]
        deadline = None if None in deadlines else max(filter(None, deadlines))
        try:
            merged = merge([task.inputs for task in tasks], self._parameters)
            outputs = run(merged, deadline)
            results: Sequence[Arrays | Exception] = split(outputs, row_count(merged), [task.rows for task in tasks])
        except Exception as error:  # an error fails every request of the batch, but not the thread
            results = [error] * len(tasks)
        for task, result in zip(tasks, results, strict=True):
            task.result.put(result)
