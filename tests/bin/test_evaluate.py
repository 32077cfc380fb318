"""bin/evaluate.py as a user runs it."""

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
    task = Classification(text_column="text", labels=("animal", "food", "tool"))
    config = toy.encoder_config()
    model = BertModel(Encoder(config), [task.head(config)])
    extra = {"task": task.to_config(), "sequence_length": 16}
    save_model(model, tmp_path / "model", tokenizer=toy.tokenizer(), extra=extra)
    return tmp_path / "model"


def test_table_metrics_and_predictions(model_dir, tmp_path):
    rows = [(label, text) for text, label in toy.texts(20)]
    data = toy.write_rows(tmp_path / "test.tsv", ["kind", "text"], [*rows, ("plant", "x")])
    result = run_binary(
        "evaluate",
        f"--model_dir={model_dir}",
        f"--data_file={data}",
        f"--output_dir={tmp_path / 'scores'}",
        "--label_column=kind",
        "--skip_bad_rows",
    )
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert (metrics["num_examples"], metrics["num_bad_rows"]) == (20, 1)
    assert f"accuracy: {metrics['accuracy']:.4f}" in result.stdout
    assert result.stdout.startswith("label   precision  recall")
    assert "1 bad row skipped, the first:" in result.stdout
    assert "Next: bin/export_model.py --model_dir=" in result.stdout.splitlines()[-1]
    lines = (tmp_path / "scores" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["gold"] for line in lines] == [label for label, _ in rows]


def test_an_error_is_one_line_and_leaves_nothing(model_dir, tmp_path):
    data = toy.write_rows(tmp_path / "test.csv", ["text", "label"], [("a", "plant")])
    result = run_binary(
        "evaluate", f"--model_dir={model_dir}", f"--data_file={data}", f"--output_dir={tmp_path}/s"
    )
    assert "test.csv, line 2: unknown label 'plant'. Known: 'animal'" in error_line(result)
    assert not (tmp_path / "s").exists()
