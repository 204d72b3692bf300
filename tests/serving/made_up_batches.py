"""A batcher asked from threads of their own; a batch thread that is held busy makes requests wait."""

import threading
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np

from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError

NEVER = 3600 * 10**6
"""Microseconds after which a batch runs although it is not full: no test takes so long."""
PATIENCE = 10
"""Seconds after which something hangs; nothing here measures time."""
ASKED = threading.local()
SPLIT = {"enable_large_batch_splitting": True, "max_execution_batch_size": 2}


class Desk:
    """A batcher asked from threads of their own; `ran` is what it ran."""

    def __init__(self, threads, **parameters):
        self.parameters = BatchingParameters(num_batch_threads=threads, **parameters)
        self.batcher, self.ran = Batcher(self.parameters), []
        self.held, self.released = threading.Event(), threading.Event()

    def run(self, inputs):
        """The inputs, and twice "x"."""
        self.ran.append({name: array.tolist() for name, array in inputs.items()})
        return {**inputs, "x": inputs["x"] * 2} if "x" in inputs else inputs

    def ask(self, *, key="key", run=None, **inputs):
        """The future answer to a request that stands in its queue or has been refused."""
        answer, queued = Future(), threading.Event()
        arrays = {name: np.array(rows) for name, rows in inputs.items()}

        def call():
            ASKED.queued = queued
            try:
                answer.set_result(self.batcher.run(key, run or self.run, arrays))
            except Exception as error:
                answer.set_exception(error)
            queued.set()

        threading.Thread(target=call, daemon=True).start()
        assert queued.wait(PATIENCE)
        return answer

    def hold(self):
        """Keep the one batch thread busy until `released` is set."""

        def busy(inputs):
            self.held.set()
            assert self.released.wait(PATIENCE)
            return inputs

        answer = self.ask(key="held", run=busy, x=np.zeros(self.parameters.largest_execution))
        assert not answer.done(), answer.exception()
        assert self.held.wait(PATIENCE)

    def together(self, *requests):
        """The future answers to requests that waited together."""
        self.hold()
        answers = [self.ask(**request) for request in requests]
        self.released.set()
        return answers

    def close(self):
        self.released.set()
        closing = threading.Thread(target=self.batcher.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()


@contextmanager
def desks(monkeypatch):
    """What makes desks, with one batch thread unless told otherwise."""
    made, enqueue = [], Batcher._enqueue

    def noticed(*arguments):  # in the caller's thread, which holds the lock until all of its request is in the queue
        task = enqueue(*arguments)
        ASKED.queued.set()
        return task

    def make(threads=1, **parameters):
        made.append(Desk(threads, **parameters))
        return made[-1]

    monkeypatch.setattr(Batcher, "_enqueue", noticed)
    yield make
    for one in made:
        one.close()


def got(answer):
    return {name: array.tolist() for name, array in answer.result(PATIENCE).items()}


def refusal(answer):
    error = answer.exception(PATIENCE)
    assert isinstance(error, RequestError), error or got(answer)
    return error.code.name
