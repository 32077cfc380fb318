"""The flags of bin/serve.py at work: batching, metrics, TLS, a Unix socket, refusals."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from run_binary import run_binary
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import keras_bert_suite
from keras_bert_suite.serving.client import Client, RequestError, Tls
from keras_bert_suite.serving.server import refused_flags
from keras_bert_suite.serving.server.monitoring import read_metrics_path
from keras_bert_suite.serving.server.options import ServerOptions
from keras_bert_suite.serving.server.refused_flags import REFUSED

METRICS = "/monitoring/prometheus/metrics"


def request(value, name="half_plus_two"):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = name
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([value], np.float32)))
    return message


def ask(channel, value):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return list(stub.Predict(request(value), timeout=20).outputs["y"].float_val)


@pytest.fixture(scope="module")
def loaded_server(start_server, contract_config, self_signed, tmp_path_factory):
    """A server with everything on: batching, metrics, TLS with client certificates, a socket."""
    directory = tmp_path_factory.mktemp("options")
    key, certificate = (path.read_text() for path in self_signed(directory))
    files = {
        "batching": "max_batch_size { value: 16 } batch_timeout_micros { value: 20000 }",
        "monitoring": "prometheus_config { enable: true }",
        "ssl": f"server_key: {json.dumps(key)} server_cert: {json.dumps(certificate)} "
        f"custom_ca: {json.dumps(certificate)} client_verify: true",
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    server = start_server(
        f"--model_config_file={contract_config}",
        "--enable_batching",
        f"--batching_parameters_file={directory / 'batching'}",
        f"--monitoring_config_file={directory / 'monitoring'}",
        f"--ssl_config_file={directory / 'ssl'}",
        f"--grpc_socket_path={directory / 'grpc.sock'}",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=60000",
        "--rest_api_enable_cors_support",
    )
    return server, directory, key.encode(), certificate.encode()


def test_tls_answers_those_who_have_a_certificate(loaded_server):
    server, _, key, certificate = loaded_server
    address = server.grpc.replace("127.0.0.1", "localhost")
    known = grpc.ssl_channel_credentials(certificate, key, certificate)
    with grpc.secure_channel(address, known) as channel:
        assert ask(channel, 2.0) == [4.0]
    stranger = grpc.ssl_channel_credentials(certificate)
    with grpc.secure_channel(address, stranger) as channel, pytest.raises(grpc.RpcError) as caught:
        ask(channel, 2.0)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_client_speaks_mutual_tls(loaded_server):
    server, directory, *_ = loaded_server
    address = server.grpc.replace("127.0.0.1", "localhost")
    ours = directory / "localhost.pem"
    tls = Tls(cacert=ours, cert=ours, key=directory / "localhost.key")
    with Client(address, model_name="half_plus_two", tls=tls) as client:
        assert client.predict({"x": [2.0]}) == {"y": [4.0]}


def test_requests_that_arrive_together_are_answered_each_for_itself(loaded_server):
    _, directory, *_ = loaded_server
    with grpc.insecure_channel(f"unix:{directory / 'grpc.sock'}") as channel:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda value: ask(channel, float(value)), range(64)))
    assert answers == [[0.5 * value + 3.0] for value in range(64)]


def test_metrics_count_requests_by_model_and_status(loaded_server):
    server, directory, *_ = loaded_server
    url = f"http://{server.rest}"
    for model, expected in (("half_plus_two", 200), ("half_plus_two", 200), ("nobody-at-all", 404)):
        body = json.dumps({"instances": [1.0]}).encode()
        try:
            status = urllib.request.urlopen(f"{url}/v1/models/{model}:predict", body).status
        except urllib.error.HTTPError as error:
            status = error.code
        assert status == expected
    page = urllib.request.urlopen(url + METRICS)
    assert page.headers["Content-Type"].startswith("text/plain")
    assert page.headers["Access-Control-Allow-Origin"] == "*"
    text = page.read().decode()
    assert "# TYPE :tensorflow:serving:request_latency histogram" in text
    latency = 'request_latency_count{API="Predict",entrypoint="REST",model_name="half_plus_two"}'
    assert f":tensorflow:serving:{latency} 2.0" in text
    count = ':tensorflow:serving:request_count{model_name="(unknown)",status="NOT_FOUND"} 1.0'
    assert count in text
    assert "nobody-at-all" not in text
    assert ':tensorflow:serving:runtime_latency_count{model_name="half_plus_two"}' in text


@pytest.fixture(scope="module")
def other_server(start_server, contract_config, tmp_path_factory):
    """A server whose model echo has batches of its own, and half_plus_two none."""
    root = tmp_path_factory.mktemp("other") / "models"
    shutil.copytree(contract_config.parent, root)
    config = root / contract_config.name
    config.write_text(config.read_text().replace(str(contract_config.parent), str(root)))
    (root / "echo" / "7" / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    (root / "batching").write_text("max_batch_size { value: 1 } num_batch_threads { value: 1 }")
    return start_server(
        f"--model_config_file={config}",
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        f"--batching_parameters_file={root / 'batching'}",
        "--enable_serialization_as_tensor_content",
        "--enable_signature_method_name_check",
        "--num_load_threads=2",
        "--tensorflow_session_parallelism=1",
        "--enable_profiler=false",
    )


def test_a_model_is_batched_by_its_own_file_or_not_at_all(other_server):
    with Client(other_server.grpc, model_name="echo") as client:
        assert client.predict({"text": ["a", "bc"]})["length"] == [1, 2]
        with pytest.raises(RequestError, match="Task size 3 is larger than .* batch size 2"):
            client.predict({"text": ["a", "b", "c"]})
    with Client(other_server.grpc, model_name="half_plus_two") as client:
        assert client.predict({"x": [0.0, 1.0, 2.0]}) == {"y": [3.0, 3.5, 4.0]}


def test_numbers_as_bytes(other_server):
    with grpc.insecure_channel(other_server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        y = stub.Predict(request(2.0), timeout=20).outputs["y"]
    assert (y.tensor_content, list(y.float_val)) == (np.float32([4.0]).tobytes(), [])
    with Client(other_server.rest, model_name="half_plus_two", rest=True) as client:
        assert client.predict({"x": [2.0]}) == {"output": [4.0]}


@pytest.mark.parametrize("call", ["classify", "regress"])
def test_method_names_are_checked_where_that_is_asked_for(other_server, server, call):
    body = json.dumps({"signature_name": f"{call}_x_to_y", "examples": [{"x": 2.0}]}).encode()
    path = f"/v1/models/half_plus_two:{call}"
    assert urllib.request.urlopen(f"http://{server.rest}{path}", body).status == 200
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        urllib.request.urlopen(f"http://{other_server.rest}{path}", body)
    message = json.load(caught.value)["error"]
    assert f"to be tensorflow/serving/{call}. Was: tensorflow/serving/predict" in message


def test_metrics_are_off_unless_asked_for(server):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://{server.rest}{METRICS}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_base_path": ""}, "Say what to serve: --model_base_path or --model_config_file"),
        ({"port": 0}, "both 0: nothing would listen"),
        ({"port": 8501, "rest_api_port": 8501}, "must differ. Received: 8501 twice"),
        ({"port": 65536}, r"--port must be in 0..65535. Received: 65536"),
        ({"grpc_max_threads": 0}, "--grpc_max_threads must be at least 1. Received: 0"),
        ({"batching_parameters_file": "x"}, "needs --enable_batching"),
        ({"enable_per_model_batching_parameters": True}, "needs --enable_batching"),
        ({"monitoring_config_file": "x"}, "needs --rest_api_port"),
        ({"max_num_load_retries": -1}, "--max_num_load_retries must be at least 0. Received: -1"),
        ({"saved_model_tags": "serve,"}, "must be tags, comma separated. Received: 'serve,'"),
        ({"per_process_gpu_memory_fraction": 1.5}, "must be in .0, 1.. Received: 1.5"),
        (
            {"tensorflow_session_parallelism": 1, "tensorflow_inter_op_parallelism": 1},
            "sets both --tensorflow_intra_op_parallelism and .*: give it, or them",
        ),
        ({"grpc_channel_arguments": "a=1,b"}, "must read NAME=VALUE,... Received: 'b'"),
    ],
)
def test_bad_options_are_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        ServerOptions(**{"model_base_path": "models", **fields})


@pytest.mark.parametrize("name", REFUSED)
def test_flags_of_tensorflow_model_server_that_are_refused(name):
    """Each by its name, with the reason; but for a value that asks for what is done anyway."""
    refused, values = REFUSED[name], flags.FlagValues()
    refused_flags.define(values)
    other = {"None": "x", "True": "false", "False": "true", "0": "3"}[str(refused.taken)]
    with pytest.raises(flags.IllegalFlagValueError) as caught:
        values(["serve", f"--{name}={other}"])
    assert f"--{name}={other}" in str(caught.value)
    assert refused.reason in str(caught.value)
    if refused.taken is not None:
        values(["serve", f"--{name}={str(refused.taken).lower()}"])
        assert values[name].value == refused.taken


def test_refused_flags_at_the_program():
    result = run_binary("serve", "--model_base_path=m", "--use_alts_credentials")
    assert result.returncode == 1
    assert result.stderr.startswith("error: flag --use_alts_credentials=")
    assert "--ssl_config_file has TLS." in result.stderr
    assert "use_alts_credentials" not in run_binary("serve", "--help").stdout


def test_its_version():
    result = run_binary("serve", "--version")
    assert result.stdout.splitlines() == [
        f"keras_bert_suite: {keras_bert_suite.__version__}",
        f"TensorFlow: {tf.__version__}",
    ]


def test_channel_arguments_are_numbers_and_texts():
    text = "grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb"
    options = ServerOptions(model_base_path="m", grpc_channel_arguments=text)
    assert options.channel_arguments == [
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.lb_policy_name", "grpclb"),
    ]


def test_the_monitoring_file(tmp_path):
    path = tmp_path / "monitoring"
    path.write_text("prometheus_config { enable: true path: '/mine' }")
    assert read_metrics_path(str(path)) == "/mine"
    path.write_text("prometheus_config { path: '/mine' }")
    assert read_metrics_path(str(path)) is None
    path.write_text("prometheus_config { enable: true path: 'mine' }")
    with pytest.raises(ValueError, match="must begin with"):
        read_metrics_path(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server_cert: 'c'", "must have server_key and server_cert"),
        ("server_key: 'k' server_cert: 'c' client_verify: true", "client_verify needs custom_ca"),
        ("nothing", "Error parsing text-format tensorflow.serving.SSLConfig"),
    ],
)
def test_bad_tls_files_are_errors(tmp_path, text, message):
    from keras_bert_suite.serving.server.grpc_service import tls_credentials

    path = tmp_path / "ssl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        tls_credentials(str(path))


def test_a_host_that_is_not_this_machine():
    from keras_bert_suite.serving.server.server import Server

    options = ServerOptions(model_base_path="/models", host="192.0.2.1")
    with pytest.raises(OSError, match="--host must be a name or an address of this machine"):
        Server({}, options=options)
