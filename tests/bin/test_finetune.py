"""bin/finetune.py as a user runs it."""

import json

import toy_classification as toy
from run_binary import error_line, run_binary


def flags(tmp_path, **changes):
    told = {
        "init_from": tmp_path / "encoder",
        "train_file": tmp_path / "train.csv",
        "output_dir": tmp_path / "out",
    }
    return [f"--{name}={value}" for name, value in {**told, **changes}.items()]


def make_files(tmp_path):
    toy.write_model_directory(tmp_path / "encoder")
    rows = [(label, text) for text, label in toy.texts(24)]
    toy.write_rows(tmp_path / "train.csv", ["kind", "text"], rows)


def test_from_files_to_a_model_directory(tmp_path):
    make_files(tmp_path)
    (tmp_path / "run.json").write_text('{"epochs": 1, "batch_size": 2, "sequence_length": 16}')
    result = run_binary(
        "finetune",
        *flags(tmp_path, dev_file=tmp_path / "train.csv", label_column="kind", batch_size=8),
        f"--config={tmp_path / 'run.json'}",
        "--labels=tool,food,animal",
    )
    assert result.returncode == 0, result.stderr
    assert "24 examples of mean length" in result.stderr
    assert "step 3/3" in result.stderr
    summary = result.stdout.splitlines()
    assert len(summary) == 1
    assert summary[0].startswith("classification, full tuning, dev accuracy ")
    assert f"Next: bin/evaluate.py --model_dir={tmp_path / 'out'} --data_file=FILE" in summary[0]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "tool", "1": "food", "2": "animal"}
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["num_examples"] == 24


def test_an_error_is_one_line_and_leaves_nothing(tmp_path):
    make_files(tmp_path)
    result = run_binary("finetune", *flags(tmp_path, sequence_length=16))
    assert error_line(result).startswith(
        f"error: {tmp_path / 'train.csv'}, line 1: no column 'label'. The file has: 'kind', 'text'."
    )
    assert not (tmp_path / "out").exists()
    assert result.stdout == ""
