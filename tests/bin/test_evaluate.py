"""bin/evaluate.py as a user runs it."""

import json

import pytest
import toy_classification as toy
import toy_questions
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
    assert "Bad rows skipped: 1, the first:" in result.stdout
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


def test_a_file_of_predictions_alone(tmp_path):
    data = toy_questions.write_squad(
        tmp_path / "dev.json", [("a?", "cat dog", 4, "dog"), ("b?", "cat", None, "")]
    )
    (tmp_path / "answers.json").write_text(json.dumps({"q0": "a dog", "q1": "cat"}))
    (tmp_path / "odds.json").write_text(json.dumps({"q0": 0.1, "q1": 0.7}))
    flags = ["--task=qa", f"--data_file={data}", f"--predictions_file={tmp_path / 'answers.json'}"]
    flags += [f"--null_odds_file={tmp_path / 'odds.json'}", f"--output_dir={tmp_path / 'scores'}"]
    result = run_binary("evaluate", *flags, "--null_threshold=0.5")
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert (metrics["exact"], metrics["NoAns_f1"], metrics["best_f1_thresh"]) == (100, 100, 0.1)
    assert "answerable    100.00" in result.stdout
    message = error_line(run_binary("evaluate", *flags[1:]))
    assert "Give either --model_dir, or --predictions_file with --task." in message
