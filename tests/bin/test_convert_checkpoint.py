"""The binary's report."""

from __future__ import annotations

import subprocess
import sys

from keras_bert_suite.checkpoints.model_directory import save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.encoder import Encoder


def test_converting(repository, tmp_path):
    config = EncoderConfig(
        vocab_size=9, hidden_size=4, num_layers=1, num_heads=2, intermediate_size=6, max_positions=8
    )
    save_model(Encoder(config), tmp_path / "m")
    flags = [f"--source={tmp_path / 'm'}", f"--output_dir={tmp_path / 'out'}"]
    command = [sys.executable, repository / "bin" / "convert_checkpoint.py", *flags]
    command.append("--allow_missing=tokenizer")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("note: tokenizer: ")
    assert lines[1] == "result reread (keras_bert_suite): largest difference 0.0e+00"
    assert "  layer_0         0.0e+00" in lines
    assert lines[-1] == f"Wrote {tmp_path / 'out'} from huggingface; heads: none."
