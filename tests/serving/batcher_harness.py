"""Batcher with requests in threads, and a batch thread that can be blocked so that requests have to wait."""

import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np

from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError

NEVER = 3600 * 10**6
"""Timeout of a batch in microseconds that no test reaches."""
TIMEOUT = 10
"""Seconds until a request counts as hanging. The tests do not measure time."""
SPLIT = {"enable_large_batch_splitting": True, "max_execution_batch_size": 2}
CALLER = threading.local()


class BatcherHarness:
    """Batcher that doubles "x".

    Args:
        threads: number of batch threads.
        parameters: further `BatchingParameters`.

    Attributes:
        batches: inputs of the batches that ran, as lists.
        released: event that ends the block of `block_thread`.
    """

    def __init__(self, threads, **parameters):
        self.parameters = BatchingParameters(num_batch_threads=threads, **parameters)
        self.batcher, self.batches = Batcher(self.parameters), []
        self.blocked, self.released = threading.Event(), threading.Event()

    def run(self, inputs, deadline=None):
        """Return the inputs with "x" doubled."""
        self.batches.append({name: array.tolist() for name, array in inputs.items()})
        return {**inputs, "x": inputs["x"] * 2} if "x" in inputs else inputs

    def submit(self, *, key="key", run=None, deadline=None, **inputs):
        """Return the future of a request that has been queued or refused."""
        future, queued = Future(), threading.Event()
        arrays = {name: np.array(rows) for name, rows in inputs.items()}

        def call():
            CALLER.queued = queued
            try:
                future.set_result(self.batcher.run(key, run or self.run, arrays, deadline))
            except Exception as error:
                future.set_exception(error)
            queued.set()

        threading.Thread(target=call, daemon=True).start()
        assert queued.wait(TIMEOUT)
        return future

    def block_thread(self):
        """Occupy one batch thread until `released` is set."""

        def block(inputs, deadline):
            self.blocked.set()
            assert self.released.wait(TIMEOUT)
            return inputs

        future = self.submit(key="block", run=block, x=np.zeros(self.parameters.largest_execution))
        assert not future.done(), future.exception()
        assert self.blocked.wait(TIMEOUT)

    def submit_together(self, *requests):
        """Return the futures of requests that were queued before the first batch ran."""
        self.block_thread()
        futures = [self.submit(**request) for request in requests]
        self.released.set()
        return futures

    def close(self):
        self.released.set()
        closing = threading.Thread(target=self.batcher.close, daemon=True)
        closing.start()
        closing.join(TIMEOUT)
        assert not closing.is_alive()


@contextmanager
def harnesses(monkeypatch):
    """Return a function that makes a harness, with one batch thread by default. All are closed at the end."""
    made, enqueue = [], Batcher._enqueue

    def enqueue_and_notify(*arguments):  # the caller holds the lock until its whole request is in the queue
        task = enqueue(*arguments)
        CALLER.queued.set()
        return task

    def make(threads=1, **parameters):
        made.append(BatcherHarness(threads, **parameters))
        return made[-1]

    monkeypatch.setattr(Batcher, "_enqueue", enqueue_and_notify)
    yield make
    for harness in made:
        harness.close()


def outputs_of(future):
    """Return the outputs of a request as lists."""
    return {name: array.tolist() for name, array in future.result(TIMEOUT).items()}


def code_of(future):
    """Return the name of the error code of a refused request."""
    error = future.exception(TIMEOUT)
    assert isinstance(error, RequestError), error or outputs_of(future)
    return error.code.name


def wait_until(condition):
    """Wait for an effect of another thread."""
    deadline = time.monotonic() + 6 * TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)
