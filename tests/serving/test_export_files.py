"""The files of export/: what can be held without Docker."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_bert_suite.serving.server import config, monitoring
from keras_bert_suite.serving.server.batching_parameters import BatchingParameters


@pytest.fixture
def documents(repository):
    """documents(name) -> the parsed documents of a YAML file of export/."""
    yaml = pytest.importorskip("yaml")
    return lambda name: list(yaml.safe_load_all((repository / "export" / name).read_text()))


def test_models_config_is_one_that_our_server_reads(repository):
    models = config.read_config_file(repository / "export" / "models.config")
    assert models["topics"].num_latest == 2
    assert str(models["topics"].base_path) == "/models/topics"


def test_the_other_config_files_are_ones_that_our_server_reads(repository):
    parameters = BatchingParameters.from_file(repository / "export" / "batching.config")
    assert parameters.max_batch_size == 32
    path = monitoring.read_metrics_path(str(repository / "export" / "monitoring.config"))
    assert path == "/monitoring/prometheus/metrics"


def test_the_files_that_docker_and_kubernetes_mount_are_there(repository):
    export = repository / "export"
    for name in ("docker-compose.yml", "kubernetes/serving.yaml"):
        mounted = set(re.findall(r"/config/(\w+\.config)", (export / name).read_text()))
        assert mounted == {"models.config", "batching.config", "monitoring.config"}
        assert all((export / file).is_file() for file in mounted)


def test_what_was_never_started_says_so(repository):
    for name in ("docker-compose.yml", "kubernetes/serving.yaml"):
        assert "# NOT RUN where this was written" in (repository / "export" / name).read_text()


def test_docker_compose(documents, repository):
    (document,) = documents("docker-compose.yml")
    for service in document["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source, target, mode = volume.split(":")
            assert mode == "ro" and target.startswith("/")
            assert source == "./models" or (repository / "export" / source).is_file()
    (scraped,) = documents("prometheus.yml")
    (job,) = scraped["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["serving:8501"]
    assert job["metrics_path"] == "/monitoring/prometheus/metrics"


def test_kubernetes(documents):
    found = documents("kubernetes/serving.yaml")
    kinds = [document["kind"] for document in found]
    assert sorted(set(kinds)) == [
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
    ]
    assert len({(document["kind"], document["metadata"]["name"]) for document in found}) == 5
    deployment = found[kinds.index("Deployment")]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    (container,) = deployment["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    volumes = {volume["name"] for volume in deployment["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for document in found:
        selector = document["spec"].get("selector")
        if document["kind"] == "Service":
            assert selector == labels
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= ports
        elif selector:
            assert selector["matchLabels"] == labels
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        ((_, where),) = ((k, v) for k, v in container[probe].items() if isinstance(v, dict))
        assert where["port"] in ports


def test_the_readme_names_files_that_exist(repository):
    export = repository / "export"
    links = re.findall(r"\]\(([^)#]+)\)", (export / "README.md").read_text())
    assert links
    assert all((export / link).exists() for link in links)
    for example in (export / "examples").iterdir():
        assert f"examples/{example.name}" in links


def test_padding_by_the_batcher_stays_off(repository):
    text = (repository / "export" / "batching.config").read_text()
    settings = [line for line in text.splitlines() if not line.startswith("#")]
    assert not any("pad_variable_length_inputs" in line for line in settings)


LABELS = ["usage", "docs"]


@pytest.fixture(scope="module")
def topics(start_server, tmp_path_factory):
    """A served model `topics` with the signatures of a classifier: 0.75 for usage, always."""

    def answer(text):
        rows = tf.shape(text)[0]
        scores = tf.tile(tf.constant([[0.75, 0.25]]), [rows, 1])
        return {"label": tf.repeat(tf.constant("usage"), rows), "scores": scores}

    def classify(inputs):
        features = {"text": tf.io.FixedLenFeature([], tf.string)}
        scores = answer(tf.io.parse_example(inputs, features)["text"])["scores"]
        return {"classes": tf.broadcast_to(tf.constant(LABELS), tf.shape(scores)), "scores": scores}

    module = tf.Module()
    module.functions = {
        name: tf.function(function, input_signature=[tf.TensorSpec([None], tf.string, name=alias)])
        for name, function, alias in (
            ("serving_default", answer, "text"),
            ("classify", classify, "inputs"),
        )
    }
    base = tmp_path_factory.mktemp("topics")
    tf.saved_model.save(module, str(base / "1"), signatures=module.functions)
    return start_server("--model_name=topics", f"--model_base_path={base}")


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


TWO_LINES = "0.750  usage  How do I set a timeout?\n0.750  usage  Where are the docs?\n"


@pytest.mark.slow
def test_the_python_example(topics, repository):
    example = repository / "export" / "examples" / "client.py"
    assert run(sys.executable, example, topics.grpc) == f"topics, version 1\n{TWO_LINES}"


@pytest.mark.slow
def test_the_javascript_example(topics, repository):
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    example = repository / "export" / "examples" / "client.mjs"
    assert run("node", example, topics.rest) == TWO_LINES
    assert run("node", example, topics.rest, "topics", "x") == "0.750  usage  x\n"
    result = subprocess.run(["node", example, topics.rest, "no"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "404: Servable not found for request: Latest(no)" in result.stderr


@pytest.mark.slow
def test_the_curl_example(topics, repository):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    told = run(repository / "export" / "examples" / "rest.sh", topics.rest)
    assert '"state": "AVAILABLE"' in told
    assert told.count('"label": "usage"') == 2  # rows
    assert '{"outputs": {"label": ["usage"], "scores": [[0.75, 0.25]]}}' in told
    assert '{"results": [[["usage", 0.75], ["docs", 0.25]]]}' in told


@pytest.mark.slow
def test_the_grpcurl_example(topics, repository):
    if not shutil.which("grpcurl"):
        pytest.skip("grpcurl is not installed")
    told = run(repository / "export" / "examples" / "grpc.sh", topics.grpc)
    assert '"versionLabel"' not in told and '"dtype": "DT_STRING"' in told
