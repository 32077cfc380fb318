"""bin/predict.py as a user runs it."""

import json

import pytest
import toy_classification as toy
from run_binary import error_line, run_binary

from keras_bert_suite.checkpoints.model_directory import save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.tasks.classification import Classification


@pytest.fixture
def model_dir(tmp_path):
    columns = {"text_a_column": "text_a", "text_b_column": "text_b"}
    task = Classification(**columns, labels=("other", "same"))
    config = toy.encoder_config()
    model = BertModel(Encoder(config), [task.head(config)])
    extra = {"task": task.to_config(), "sequence_length": 16}
    save_model(model, tmp_path / "model", tokenizer=toy.tokenizer(), extra=extra)
    return tmp_path / "model"


def test_stdin_to_stdout_is_json_alone(model_dir):
    lines = '{"text_a": "the cat", "text_b": "a saw", "id": "é"}\n{"text_a": "x", "text_b": "y"}'
    result = run_binary("predict", f"--model_dir={model_dir}", stdin=lines)
    assert result.returncode == 0, result.stderr
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["id"], first["text_b"]) == ("é", "a saw")
    assert set(second["prediction"]["scores"]) == {"other", "same"}
    assert result.stderr.splitlines()[-1] == "2 lines of stdin answered."


def test_files_stay_as_they_were_after_an_error(model_dir, tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text_a": "the cat", "text_b": "a saw"}\n{"text_a": "the cat"}\n')
    output.write_text("before")
    result = run_binary(
        "predict", f"--model_dir={model_dir}", f"--input={source}", f"--output={output}",
        "--lines_at_a_time=1",
    )  # fmt: skip
    assert error_line(result) == (
        f"error: {source}, line 2: no 'text_b'. There is: 'text_a'. "
        "(--skip_bad_rows goes on without such rows)"
    )
    assert output.read_text() == "before"


def test_a_table_without_its_bad_rows(model_dir, tmp_path):
    source = tmp_path / "test.tsv"
    source.write_text("id\ttext_a\ttext_b\n7\tthe cat\ta saw\n8\t\ta saw\n")
    result = run_binary(
        "predict", f"--model_dir={model_dir}", f"--input={source}", "--skip_bad_rows"
    )
    assert result.returncode == 0, result.stderr
    (answer,) = map(json.loads, result.stdout.splitlines())
    assert (answer["id"], set(answer["prediction"]["scores"])) == ("7", {"other", "same"})
    assert result.stderr.splitlines()[-2:] == [
        f"1 line of {source} answered.",
        f"1 skipped, the first: {source}, line 3: the text in column 'text_a' is empty.",
    ]
