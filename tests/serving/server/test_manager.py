"""Versions, policies, labels, reload: what is served while the disk changes."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_pb2, predict_pb2
from tensorflow_serving.config import model_server_config_pb2

from keras_bert_suite.serving import warmup
from keras_bert_suite.serving.server import config, inference
from keras_bert_suite.serving.server.errors import ServingError
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.model import LoadPolicy
from keras_bert_suite.serving.server.options import ServerOptions
from keras_bert_suite.serving.server.servable import RunLimits, Servable
from keras_bert_suite.serving.server.session_options import SessionOptions


@pytest.fixture(scope="module")
def versions(contract_models, tmp_path_factory):
    """Directories of half_plus_two with the constants 1, 2 and 3."""
    root = tmp_path_factory.mktemp("versions")
    for constant in (1, 2, 3):
        contract_models.write_half_plus_two(root / str(constant), constant=float(constant))
    return root


@pytest.fixture
def base(versions, tmp_path):
    """A base path with version 1; publish(base, n) adds others."""
    base = tmp_path / "half"
    base.mkdir()
    shutil.copytree(versions / "1", base / "1")
    return base


@pytest.fixture
def manager():
    manager = ModelManager(load=Servable)
    yield manager
    manager.close()


def publish(versions, base, number):
    shutil.copytree(versions / str(number), base / ".new")
    (base / ".new").rename(base / str(number))


def settings(base, **fields):
    return {"half": config.ModelSettings(name="half", base_path=base, **fields)}


def ask(manager, **spec):
    """The y of x = 0: the constant, which is the version."""
    spec = model_pb2.ModelSpec(name="half", **spec)
    request = predict_pb2.PredictRequest(model_spec=spec)
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 1
    request.inputs["x"].float_val.append(0.0)
    with manager.lease(spec) as servable:
        return inference.predict(servable, request).outputs["y"].float_val[0]


def states(manager):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half"
    name = get_model_status_pb2.ModelVersionStatus.State.Name
    return {
        status.version: (name(status.state), status.status.error_code)
        for status in manager.get_model_status(request).model_version_status
    }


def test_a_new_version_takes_over_and_the_old_one_ends(manager, versions, base):
    manager.apply(settings(base))
    assert ask(manager) == 1.0
    publish(versions, base, 2)
    manager.reconcile()
    assert ask(manager) == 2.0
    assert states(manager) == {2: ("AVAILABLE", 0), 1: ("END", 0)}


def test_a_broken_new_version_leaves_the_old_one_serving_and_is_tried_again(
    manager, versions, base
):
    manager.apply(settings(base))
    (base / "2").mkdir()
    (base / "2" / "saved_model.pb").write_bytes(b"no model")
    manager.reconcile()
    assert ask(manager) == 1.0
    assert states(manager)[1] == ("AVAILABLE", 0)
    state, error_code = states(manager)[2]
    assert (state, error_code != 0) == ("END", True)
    shutil.rmtree(base / "2")
    publish(versions, base, 2)
    manager.reconcile()
    assert ask(manager) == 2.0


def test_a_version_that_is_seen_while_it_is_copied_comes_into_service(manager, versions, base):
    manager.apply(settings(base))
    (base / "2").mkdir()
    shutil.copy(versions / "2" / "saved_model.pb", base / "2")
    manager.reconcile()
    assert states(manager)[2][0] == "END"
    assert ask(manager) == 1.0
    shutil.copytree(versions / "2" / "variables", base / "2" / "variables")
    manager.reconcile()
    assert ask(manager) == 2.0


def test_a_base_path_that_loses_its_versions_goes_on_serving(manager, base):
    manager.apply(settings(base))
    shutil.rmtree(base)
    manager.reconcile()
    assert ask(manager) == 1.0


def test_requests_in_work_keep_their_version_open(manager, versions, base):
    manager.apply(settings(base))
    spec = model_pb2.ModelSpec(name="half")
    with manager.lease(spec) as old:
        publish(versions, base, 2)
        manager.reconcile()
        assert ask(manager) == 2.0
        signature = old.signatures["serving_default"]
        assert old.run(signature, {"x": _zero()}, ["y"])["y"][0] == 1.0
    with pytest.raises(tf.errors.CancelledError, match="closed"):
        old.run(signature, {"x": _zero()}, ["y"])


def test_no_request_fails_over_a_swap(manager, versions, base):
    manager.apply(settings(base))
    answers, errors, stop = [], [], threading.Event()

    def ask_on():
        while not stop.is_set():
            try:
                answers.append(ask(manager))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in (2, 3):
        publish(versions, base, number)
        manager.reconcile()
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert set(answers) == {1.0, 2.0, 3.0}
    assert ask(manager) == 3.0


@pytest.mark.parametrize(
    "fields, available",
    [
        ({}, [3]),
        ({"num_latest": 2}, [2, 3]),
        ({"policy": "all"}, [1, 2, 3]),
        ({"policy": "specific", "versions": frozenset({1, 3})}, [1, 3]),
    ],
)
def test_version_policies(manager, versions, base, fields, available):
    for number in (2, 3):
        publish(versions, base, number)
    manager.apply(settings(base, **fields))
    assert manager.available == {"half": available}


def test_labels_move_between_loaded_versions_only(manager, versions, base):
    publish(versions, base, 2)
    manager.apply(settings(base, policy="all", labels={"stable": 1}))
    assert ask(manager, version_label="stable") == 1.0
    manager.apply(settings(base, policy="all", labels={"stable": 2}))
    assert ask(manager, version_label="stable") == 2.0
    with pytest.raises(ServingError, match="assign label to version 9 of model half") as caught:
        manager.apply(settings(base, policy="all", labels={"stable": 9}))
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert ask(manager, version_label="stable") == 2.0


def test_new_labels_wait_for_their_version_where_that_is_allowed(versions, base):
    manager = ModelManager(load=Servable, labels_may_wait=True)
    manager.apply(settings(base, num_latest=2, labels={"stable": 1, "canary": 2}))
    with pytest.raises(ServingError, match=r"not found for request: Specific\(half, 2\)"):
        ask(manager, version_label="canary")
    publish(versions, base, 2)
    manager.reconcile()
    assert ask(manager, version_label="canary") == 2.0
    with pytest.raises(ServingError, match="assign label to version 3 of model half"):
        manager.apply(settings(base, num_latest=2, labels={"stable": 3}))  # a label in use
    manager.close()


def failing_load(failures):
    """(load, the times it was called); raises so many times before it loads."""
    times = []

    def load(path, **options):
        times.append(time.monotonic())
        if len(times) <= failures:
            raise OSError("not yet")
        return Servable(path, **options)

    return load, times


def test_a_load_that_fails_is_tried_again_as_often_as_told(base):
    load, times = failing_load(2)
    manager = ModelManager(load=load, policy=LoadPolicy(retries=2, retry_seconds=0.05))
    manager.apply(settings(base))
    assert ask(manager) == 1.0
    assert len(times) == 3
    assert min(b - a for a, b in zip(times, times[1:], strict=False)) >= 0.05
    manager.close()
    load, times = failing_load(2)
    manager = ModelManager(load=load, policy=LoadPolicy(retries=1, retry_seconds=0))
    with pytest.raises(ServingError, match="can be loaded: .*not yet"):
        manager.apply(settings(base))
    assert len(times) == 2


def test_tries_of_a_new_version_leave_the_watch_free_between_them(versions, base):
    load, times = failing_load(0)
    manager = ModelManager(load=load, policy=LoadPolicy(retries=1, retry_seconds=3600))
    manager.apply(settings(base))
    (base / "2").mkdir()
    (base / "2" / "saved_model.pb").write_bytes(b"no model")
    for _ in range(3):
        manager.reconcile()
    assert len(times) == 2  # the next try is an hour away
    manager.close()


def test_who_stops_does_not_wait_for_the_next_try(base):
    stop = threading.Event()
    load, times = failing_load(9)
    policy = LoadPolicy(retries=9, retry_seconds=3600)
    manager = ModelManager(load=load, policy=policy, stop=stop)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(ServingError, match="not yet"):
        manager.apply(settings(base))
    assert len(times) == 1


def test_models_load_at_once_where_that_is_asked_for(base):
    meeting = threading.Barrier(2, timeout=60)

    def load(path, **options):
        meeting.wait()  # goes on when both are here
        return Servable(path, **options)

    manager = ModelManager(load=load, num_threads=2)
    two = {name: config.ModelSettings(name=name, base_path=base) for name in ("half", "again")}
    manager.apply(two)
    assert manager.available == {"half": [1], "again": [1]}
    manager.close()


@pytest.mark.parametrize("times", [0, 1, 3])
def test_recorded_requests_are_replayed_as_often_as_told(base, times):
    warmup.write(
        base / "1", [("serving_default", {"x": _zero()}), ("serving_default", {"x": _zero()})]
    )
    runs = []

    class Counting(Servable):
        def run(self, *args):
            runs.append(args)
            return super().run(*args)

    manager = ModelManager(load=Counting, policy=LoadPolicy(warm_up=times))
    manager.apply(settings(base))
    assert len(runs) == 2 * times
    manager.close()


def test_tags_and_what_tensorflow_is_told(base, tmp_path):
    options = ServerOptions(
        model_base_path="m",
        saved_model_tags="serve,gpu",
        tensorflow_intra_op_parallelism=3,
        tensorflow_inter_op_parallelism=2,
        per_process_gpu_memory_fraction=0.5,
    )
    told = SessionOptions.of(options)
    assert told.tags == ("serve", "gpu")
    config_ = told.config
    assert (config_.intra_op_parallelism_threads, config_.inter_op_parallelism_threads) == (3, 2)
    assert config_.gpu_options.per_process_gpu_memory_fraction == 0.5
    with pytest.raises(RuntimeError, match="'gpu'.* could not be found in SavedModel"):
        Servable(base / "1", name="half", version=1, session_options=told)
    file = tmp_path / "session"
    file.write_text("intra_op_parallelism_threads: 7 allow_soft_placement: true")
    options = ServerOptions(model_base_path="m", tensorflow_session_config_file=str(file))
    assert SessionOptions.of(options).config.intra_op_parallelism_threads == 7
    options = dataclasses.replace(options, tensorflow_session_parallelism=2)
    config_ = SessionOptions.of(options).config
    assert (config_.intra_op_parallelism_threads, config_.inter_op_parallelism_threads) == (2, 2)
    assert config_.allow_soft_placement
    servable = Servable(
        base / "1", name="half", version=1, session_options=SessionOptions.of(options)
    )
    assert servable._session._config.inter_op_parallelism_threads == 2
    servable.retire()
    file.write_text("nothing: 1")
    with pytest.raises(ValueError, match="Error parsing text-format tensorflow.ConfigProto"):
        SessionOptions.of(options)


@pytest.mark.parametrize(("operations", "pool"), [(0, -1), (2, 0)])
def test_a_run_stays_on_the_thread_of_its_request_unless_told_otherwise(base, operations, pool):
    options = ServerOptions(model_base_path="m", tensorflow_inter_op_parallelism=operations)
    told = SessionOptions.of(options)
    assert told.run_options.inter_op_thread_pool == pool
    servable = Servable(base / "1", name="half", version=1, session_options=told)
    signature = servable.signatures["serving_default"]
    answers = servable.run(signature, {"x": np.array([3.0], np.float32)}, list(signature.outputs))
    assert [array.tolist() for array in answers.values()] == [[2.5]]


def test_a_config_that_fails_changes_nothing(manager, base, tmp_path):
    manager.apply(settings(base))
    other = config.ModelSettings(name="other", base_path=tmp_path / "nowhere")
    with pytest.raises(ServingError, match="other: no such directory"):
        manager.apply({"other": other})
    assert manager.available == {"half": [1]}
    manager.apply({})
    with pytest.raises(ServingError, match="Servable not found"):
        ask(manager)


def test_why_there_is_nothing_to_serve(manager, base, tmp_path):
    with pytest.raises(ServingError, match="has no version directories"):
        manager.apply(settings(tmp_path))
    with pytest.raises(ServingError, match=r"none of the wanted versions \[7\].*which has \[1\]"):
        manager.apply(settings(base, policy="specific", versions=frozenset({7})))
    with pytest.raises(
        ServingError, match=r"/half/1 is a SavedModel itself. Give the directory above"
    ):
        manager.apply(settings(base / "1"))
    (base / "2").mkdir()
    with pytest.raises(ServingError, match="no version under .* can be loaded"):
        manager.apply(settings(base))


def test_the_watch_follows_the_disk_and_the_config_file(manager, versions, base, tmp_path):
    file = tmp_path / "models.config"
    entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" }}'
    file.write_text(f"model_config_list {{ {entry.format('half', base)} }}")
    manager.apply(config.read_config_file(file))
    manager.watch(poll_seconds=0.05, config_file=file, config_poll_seconds=0.05)
    publish(versions, base, 2)
    _wait_for(lambda: manager.available == {"half": [2]})
    file.write_text("not a config")
    time.sleep(0.2)
    assert manager.available == {"half": [2]}
    file.write_text(f"model_config_list {{ {entry.format('other', base)} }}")
    _wait_for(lambda: manager.available == {"other": [2]})


def test_a_run_is_bounded_in_rows(base):
    servable = Servable(base / "1", name="half", version=1, limits=RunLimits(max_batch_rows=2))
    signature = servable.signatures["serving_default"]
    with pytest.raises(ServingError, match="3 rows, more than the limit of 2") as caught:
        servable.run(signature, {"x": _zero().repeat(3)}, ["y"])
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    servable.retire()


@pytest.mark.parametrize(
    "entry, message",
    [
        ('name: "a" base_path: "relative" model_platform: "tensorflow"', "absolute path"),
        ('base_path: "/a" model_platform: "tensorflow"', "needs a name"),
        ('name: "a" base_path: "/a"', 'must have model_platform: "tensorflow"'),
        (
            'name: "a" base_path: "/a" model_platform: "tensorflow" logging_config {}',
            "logging_config is not supported",
        ),
        (
            'name: "a" base_path: "/a" model_platform: "tensorflow" '
            "model_version_policy { specific {} }",
            "must list versions",
        ),
    ],
)
def test_a_faulty_config_is_refused(entry, message):
    text = f"model_config_list {{ config {{ {entry} }} }}"
    proto = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    with pytest.raises(ServingError, match=message):
        config.read_config(proto)


def test_a_config_file_that_is_none_names_the_file(tmp_path):
    file = tmp_path / "models.config"
    file.write_text("model_config_list {")
    with pytest.raises(ValueError, match=r"Error parsing text-format .*models\.config"):
        config.read_config_file(file)
    same = 'config { name: "a" base_path: "/a" model_platform: "tensorflow" }'
    file.write_text(f"model_config_list {{ {same} {same} }}")
    with pytest.raises(ValueError, match="Illegal to list model a multiple times"):
        config.read_config_file(file)


def _zero():
    import numpy as np

    return np.zeros([1], np.float32)


def _wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
