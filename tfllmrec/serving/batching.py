"""Dynamic batching, TF Serving's way: requests that wait together run together.

Every signature of every version has a queue of batches. A request joins the last batch of its queue while there
is room in it, or opens another. A batch is taken when it is full, when another one stands behind it, or when the
time-out has passed since it was opened; its inputs are put one below the other, run once, and cut apart again.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

import grpc
import numpy as np

from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError, invalid

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


class _Task(NamedTuple):
    """One request, or a piece of a large one.

    Its answer, or what went wrong, comes through a queue: waking a waiting thread is cheaper so than with a
    `Future`, and a batch wakes many.
    """

    inputs: Arrays
    rows: int
    answer: "SimpleQueue[Arrays | Exception]"

    def wait(self) -> Arrays:
        """The answer, once it is there."""
        found = self.answer.get()
        if isinstance(found, Exception):
            raise found
        return found


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
    """The queues and the threads that empty them.

    Args:
        parameters: sizes, time-out, threads.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self._parameters = parameters
        self._queues: dict[object, _Queue] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(parameters.num_batch_threads)]
        for thread in self._threads:
            thread.start()

    def run(self, key: object, run: Run, inputs: Arrays) -> Arrays:
        """What `run` answers for these inputs, perhaps together with others; waits for it.

        Args:
            key: requests with the same key can share a batch.
            run: what computes a batch; the same for a key.
            inputs: arrays with the batch as their first dimension, at least one row.

        Raises:
            RequestError: INVALID_ARGUMENT for inputs with different numbers of rows, or more than max_batch_size;
                UNAVAILABLE where the queue is full; or what `run` raises.
        """
        rows = _rows(inputs)
        limit = self._parameters.largest_execution
        if rows > self._parameters.max_batch_size:
            raise invalid(f"{rows} rows are more than max_batch_size, {self._parameters.max_batch_size}: send fewer")
        pieces = [
            {name: array[start : start + limit] for name, array in inputs.items()} for start in range(0, rows, limit)
        ]
        with self._changed:
            queue = self._queues.get(key) or _Queue(run)
            self._require_room(queue, rows)
            self._queues[key] = queue
            tasks = [self._enqueue(queue, piece) for piece in pieces]
            self._changed.notify(len(pieces))
        found = [task.wait() for task in tasks]
        return (
            found[0] if len(found) == 1 else {name: np.concatenate([one[name] for one in found]) for name in found[0]}
        )

    def close(self) -> None:
        """Answer what is queued, then end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _require_room(self, queue: _Queue, rows: int) -> None:
        """Raise a RequestError unless all rows of a request fit in: no piece of it is to run in vain."""
        limit = self._parameters.largest_execution
        last = queue.batches[-1].rows if queue.batches else limit
        opened = 0 if last + rows <= limit else math.ceil(rows / limit)
        if len(queue.batches) + opened > self._parameters.max_enqueued_batches:
            raise RequestError(grpc.StatusCode.UNAVAILABLE, "the batching queue is full: try again later")

    def _enqueue(self, queue: _Queue, inputs: Arrays) -> _Task:
        task = _Task(inputs, _rows(inputs), SimpleQueue())
        batches = queue.batches
        if not batches or batches[-1].rows + task.rows > self._parameters.largest_execution:
            batches.append(_Batch(time.monotonic()))
        batches[-1].add(task)
        return task

    def _work(self) -> None:
        while taken := self._take():
            queue, batch = taken
            self._execute(queue.run, batch.tasks)

    def _take(self) -> tuple[_Queue, _Batch] | None:
        """The next batch that is ready; None once the batcher is closed and empty."""
        with self._changed:
            while True:
                if not self._queues and self._closed:
                    return None
                keys = [*self._queues]
                due = [(self._due(self._queues[key]), place) for place, key in enumerate(keys)]
                earliest, place = min(due, default=(float("inf"), 0))
                now = time.monotonic()
                if earliest <= now:
                    self._changed.notify()  # somebody has to watch what is left
                    return self._first(keys[place])
                self._changed.wait(None if not due else earliest - now)

    def _first(self, key: object) -> tuple[_Queue, _Batch]:
        """The first batch of a queue, which goes with its last: its model may end then."""
        queue = self._queues[key]
        batch = queue.batches.popleft()
        if not queue.batches:
            del self._queues[key]
        return queue, batch

    def _due(self, queue: _Queue) -> float:
        """When the first batch of a queue may be taken."""
        first = queue.batches[0]
        full = first.rows >= self._parameters.largest_execution or len(queue.batches) > 1
        return first.opened + (0 if full or self._closed else self._parameters.batch_timeout_micros / 1e6)

    def _execute(self, run: Run, tasks: Sequence[_Task]) -> None:
        try:
            merged = self._merged(tasks)
            outputs = run(merged)
            _require_rows(outputs, _rows(merged))
            ends = np.cumsum([task.rows for task in tasks])
            answers: Sequence[Arrays | Exception] = [
                {name: array[end - task.rows : end] for name, array in outputs.items()}
                for task, end in zip(tasks, ends, strict=True)
            ]
        except Exception as error:  # a batch that fails, fails for everybody in it; the thread lives on
            answers = [error] * len(tasks)
        for task, answer in zip(tasks, answers, strict=True):
            task.answer.put(answer)

    def _merged(self, tasks: Sequence[_Task]) -> Arrays:
        rows = sum(task.rows for task in tasks)
        padding = self._parameters.allowed_size(rows) - rows
        merged = {}
        for name in tasks[0].inputs:
            parts = self._same_shape(name, [task.inputs[name] for task in tasks])
            parts += [parts[-1][:1]] * padding  # a row that is surely valid: the last request's first
            merged[name] = np.concatenate(parts)
        return merged

    def _same_shape(self, name: str, parts: list[np.ndarray]) -> list[np.ndarray]:
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) == 1:
            return parts
        if not self._parameters.pad_variable_length_inputs:
            sentence = f"requests in one batch have inputs {name} of different shapes: set pad_variable_length_inputs"
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence)
        largest = np.max(list(shapes), axis=0)
        return [_padded(name, part, largest) for part in parts]


def _require_rows(outputs: Arrays, rows: int) -> None:
    if wrong := [name for name, array in outputs.items() if array.shape[:1] != (rows,)]:
        sentence = f"output {wrong[0]} of a batch of {rows} rows has not as many: serve this model without batching"
        raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence)


def _rows(inputs: Arrays) -> int:
    sizes = {array.shape[0] for array in inputs.values()}
    if len(sizes) > 1:
        raise invalid(f"the inputs of a request have different numbers of rows, {sorted(sizes)}")
    return sizes.pop()


def _padded(name: str, array: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Filled up at the ends with the array's first element, which is TF Serving's rule."""
    shape = (len(array), *sizes)
    if array.shape == shape:
        return array
    if not array.size:
        raise invalid(f"input {name} is empty in a batch with others that are not: send one empty string instead")
    padded = np.full(shape, array.flat[0], array.dtype)
    padded[tuple(map(slice, array.shape))] = array
    return padded
