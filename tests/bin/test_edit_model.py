"""bin/edit_model.py as a user runs it; checkpoints/test_model_editing.py holds what it writes."""

from __future__ import annotations

import pytest
import toy_classification as toy
from run_binary import error_line, run_binary

from keras_bert_suite.checkpoints.model_directory import load_tokenizer, read_config, save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder


@pytest.fixture
def model_dir(tmp_path):
    model = BertModel(Encoder(toy.encoder_config()), [])
    save_model(model, tmp_path / "model", tokenizer=toy.tokenizer())
    return tmp_path / "model"


def test_it_says_what_changed_and_what_comes_next(model_dir, tmp_path):
    output = tmp_path / "edited"
    words = tmp_path / "words.txt"
    words.write_text("zebra\nkitten=cat\n")
    size = read_config(model_dir)["vocab_size"]
    result = run_binary(
        "edit_model", f"--model_dir={model_dir}", f"--output_dir={output}",
        f"--add_words={words}", "--max_positions=1000", "--dtype=float16",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    positions = read_config(model_dir)["max_position_embeddings"]
    assert result.stdout.strip() == (
        f"Wrote {output} (words: {size} -> {size + 2}; positions: {positions} -> 1,000; weights: "
        f"float16). Next: bin/finetune.py --init_from={output}"
    )
    assert load_tokenizer(output).vocabulary[-2:] == ("zebra", "kitten")
    assert read_config(output)["dtype"] == "float16"


def test_one_line_for_what_a_user_can_repair(model_dir, tmp_path):
    flags = ("edit_model", f"--model_dir={model_dir}", f"--output_dir={tmp_path / 'edited'}")
    line = error_line(run_binary(*flags, "--num_layers=99"))
    assert line.startswith("error: The first layers to keep must be 1 to ")
    assert not (tmp_path / "edited").exists()
