"""Joining requests to batches: who is joined, who waits, who fails."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from keras_bert_suite.serving.server.batching import BatchScheduler
from keras_bert_suite.serving.server.batching_parameters import BatchingParameters
from keras_bert_suite.serving.server.errors import ServingError


class Doubler:
    """Doubles x and remembers the sizes of its batches; refuses a negative number.

    `gate` holds a batch until it is set; `entered` says that a batch has come to it.
    """

    def __init__(self):
        self.sizes = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, inputs):
        self.entered.set()
        self.gate.wait(60)
        x = inputs["x"]
        self.sizes.append(len(x))
        if (x < 0).any():
            raise ValueError(f"negative: {x[x < 0][0]}")
        return {"y": 2 * x}


@pytest.fixture
def scheduler():
    made = []

    def make(**parameters):
        made.append(BatchScheduler(BatchingParameters(**parameters)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ask(scheduler, compute, *values, kind="k", dtype=np.float32, **fields):
    inputs = {"x": np.array(values, dtype)}
    return scheduler.run(kind, inputs, compute=compute, **fields)["y"].tolist()


def ask_together(scheduler, compute, requests):
    """Sends the requests while the computing thread is held; gives answers and errors in order."""
    compute.gate.clear()
    compute.entered.clear()
    with ThreadPoolExecutor(len(requests) + 1) as pool:
        first = pool.submit(ask, scheduler, compute, 0.0)
        # Before the thread holds the first, another request would join it.
        assert compute.entered.wait(30)
        deadline = time.monotonic() + 30
        answers = [pool.submit(ask, scheduler, compute, *request) for request in requests]
        while sum(
            len(batch.tasks) for queue in scheduler._queues.values() for batch in queue
        ) < len(requests):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        compute.gate.set()
        first.result(30)
        return [answer.exception(30) or answer.result() for answer in answers]


def test_requests_that_wait_are_computed_together_and_get_their_own_rows(scheduler):
    compute = Doubler()
    batches = scheduler(num_batch_threads=1, batch_timeout_micros=0)
    answers = ask_together(batches, compute, [(1.0,), (2.0, 3.0), (4.0,)])
    assert answers == [[2.0], [4.0, 6.0], [8.0]]
    assert compute.sizes == [1, 4]


def test_a_faulty_request_fails_alone(scheduler):
    compute = Doubler()
    batches = scheduler(num_batch_threads=1, batch_timeout_micros=0)
    good, bad, other = ask_together(batches, compute, [(1.0,), (-2.0,), (4.0,)])
    assert (good, other) == ([2.0], [8.0])
    assert str(bad) == "negative: -2.0"


def test_a_full_batch_does_not_wait(scheduler):
    compute = Doubler()
    batches = scheduler(max_batch_size=2, batch_timeout_micros=60_000_000)
    start = time.monotonic()
    assert ask(batches, compute, 1.0, 2.0) == [2.0, 4.0]
    assert time.monotonic() - start < 5


def test_a_lonely_request_waits_for_the_timeout(scheduler):
    batches = scheduler(batch_timeout_micros=200_000)
    start = time.monotonic()
    ask(batches, Doubler(), 1.0)
    assert 0.2 <= time.monotonic() - start < 5


def test_what_differs_in_shape_type_or_kind_is_not_joined(scheduler):
    compute = Doubler()
    batches = scheduler(num_batch_threads=1, batch_timeout_micros=0)
    ask_together(batches, compute, [(1.0,), ([2.0, 3.0],), ([2.0, 3.0],)])
    assert sorted(compute.sizes) == [1, 1, 2]
    assert ask(batches, compute, 1, dtype=np.int32) == [2]


def test_batches_are_filled_to_an_allowed_size_with_their_first_row(scheduler):
    seen = []

    def compute(inputs):
        seen.append(inputs["x"].tolist())
        return {"y": inputs["x"]}

    batches = scheduler(max_batch_size=4, allowed_batch_sizes=(1, 4), batch_timeout_micros=0)
    assert ask(batches, compute, 5.0, 6.0) == [5.0, 6.0]
    assert seen == [[5.0, 6.0, 5.0, 5.0]]


def test_large_requests_are_refused_or_split(scheduler):
    compute = Doubler()
    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        ask(scheduler(max_batch_size=2), compute, 1.0, 2.0, 3.0)
    splitting = scheduler(max_batch_size=2, enable_large_batch_splitting=True)
    assert ask(splitting, compute, 1.0, 2.0, 3.0, 4.0, 5.0) == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert max(compute.sizes) == 2


def test_a_full_queue_refuses(scheduler):
    compute = Doubler()
    compute.gate.clear()
    batches = scheduler(
        max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1, batch_timeout_micros=0
    )
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(ask, batches, compute, 1.0)
        assert compute.entered.wait(30)
        waiting = pool.submit(ask, batches, compute, 2.0)
        while not batches._waiting:
            time.sleep(0.001)
        with pytest.raises(ServingError, match="queue .* is full") as caught:
            ask(batches, compute, 3.0)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        compute.gate.set()
        assert (running.result(30), waiting.result(10)) == ([2.0], [4.0])


def test_a_large_request_that_is_refused_halfway_leaves_no_batch_behind(scheduler):
    compute = Doubler()
    batches = scheduler(
        max_batch_size=1,
        max_enqueued_batches=1,
        num_batch_threads=1,
        batch_timeout_micros=0,
        enable_large_batch_splitting=True,
    )
    time.sleep(0.05)  # the thread sleeps and must be told
    with pytest.raises(ServingError, match="queue .* is full"):
        ask(batches, compute, 1.0, 2.0)
    deadline = time.monotonic() + 10
    while compute.sizes != [1]:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_request_past_its_deadline_is_not_computed(scheduler):
    compute = Doubler()
    compute.gate.clear()
    batches = scheduler(num_batch_threads=1, batch_timeout_micros=0)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(ask, batches, compute, 1.0)
        assert compute.entered.wait(30)
        late = pool.submit(ask, batches, compute, 2.0, deadline=time.monotonic() + 0.05)
        error = late.exception(30)
        assert isinstance(error, ServingError)
        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        compute.gate.set()
        running.result(30)
    batches.close()
    assert compute.sizes == [1]


def test_outputs_without_a_row_for_a_row_are_an_error(scheduler):
    with pytest.raises(ServingError, match='Output "y" must have a row for each of the 2 input'):
        ask(scheduler(batch_timeout_micros=0), lambda inputs: {"y": inputs["x"].sum()}, 1.0, 2.0)


def test_inputs_of_different_numbers_of_rows_are_an_error(scheduler):
    inputs = {"a": np.zeros(2), "b": np.zeros(3)}
    with pytest.raises(ServingError, match=r"same number of rows.*'a': \[2\], 'b': \[3\]"):
        scheduler().run("k", inputs, compute=lambda inputs: inputs)


def test_a_closed_scheduler_answers_what_waits_and_refuses_the_rest(scheduler):
    compute = Doubler()
    batches = scheduler(batch_timeout_micros=60_000_000)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, batches, compute, 1.0)
        while not batches._waiting:
            time.sleep(0.001)
        batches.close()
        assert waiting.result(30) == [2.0]
    with pytest.raises(ServingError, match="stopping"):
        ask(batches, compute, 1.0)


def test_the_parameter_file(tmp_path):
    path = tmp_path / "batching.txt"
    path.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 8")
    parameters = BatchingParameters.from_file(path)
    assert (parameters.max_batch_size, parameters.allowed_batch_sizes) == (8, (2, 8))
    assert [parameters.padded_size(rows) for rows in (1, 2, 3, 8)] == [2, 2, 8, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no config", "Error parsing text-format tensorflow.serving.BatchingParameters: .*1:"),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1. Received: 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be at least 1"),
        ("max_enqueued_batches { value: 0 }", "max_enqueued_batches must be at least 1"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be at least 0"),
        ("allowed_batch_sizes: 4", "must rise and end in max_batch_size"),
        ("pad_variable_length_inputs: true", "pad_variable_length_inputs is not supported"),
        ("max_execution_batch_size { value: 4 }", "max_execution_batch_size is not supported"),
    ],
)
def test_bad_parameter_files_are_errors(tmp_path, text, message):
    path = tmp_path / "batching.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        BatchingParameters.from_file(path)
    assert str(path) in str(caught.value)
