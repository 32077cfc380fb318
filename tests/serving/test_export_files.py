"""The files of export/: what can be held without Docker."""

from __future__ import annotations

import re

from keras_bert_suite.serving.server import config


def test_models_config_is_one_that_our_server_reads(repository):
    models = config.read_config_file(repository / "export" / "models.config")
    assert models["topics"].num_latest == 2
    assert str(models["topics"].base_path) == "/models/topics"


def test_the_files_that_docker_and_kubernetes_mount_are_there(repository):
    export = repository / "export"
    for name in ("docker-compose.yml", "kubernetes/serving.yaml"):
        mounted = set(re.findall(r"/config/(\w+\.config)", (export / name).read_text()))
        assert mounted == {"models.config", "batching.config", "monitoring.config"}
        assert all((export / file).is_file() for file in mounted)


def test_the_readme_names_files_that_exist(repository):
    export = repository / "export"
    links = re.findall(r"\]\(([^)#]+)\)", (export / "README.md").read_text())
    assert links
    assert all((export / link).exists() for link in links)


def test_padding_by_the_batcher_stays_off(repository):
    text = (repository / "export" / "batching.config").read_text()
    settings = [line for line in text.splitlines() if not line.startswith("#")]
    assert not any("pad_variable_length_inputs" in line for line in settings)
