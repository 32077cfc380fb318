"""The report of a conversion where transformers is installed beside this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig

import pytest

from keras_bert_suite.checkpoints.model_directory import save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_source_and_result_against_transformers(interop_python, repository, tmp_path):
    """Its interpreter borrows our packages, if it is of the same version."""
    ask = [interop_python, "-c", "import sys; print(sys.version_info[:2])"]
    if subprocess.check_output(ask, text=True).strip() != str(sys.version_info[:2]):
        pytest.skip("KBS_INTEROP_PYTHON is of another version of Python")
    config = EncoderConfig(
        vocab_size=50, hidden_size=16, num_layers=2, num_heads=4, intermediate_size=32
    )
    heads = [MaskedLMHead.for_encoder(config), NextSentenceHead.for_encoder(config)]
    save_model(BertModel(Encoder(config), heads), tmp_path / "m")
    paths = [sysconfig.get_path("purelib"), str(repository)]
    command = [interop_python, repository / "bin" / "convert_checkpoint.py"]
    command += [f"--source={tmp_path / 'm'}", f"--output_dir={tmp_path / 'out'}"]
    done = subprocess.run(
        [*command, "--allow_missing=tokenizer"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "parity.json").read_text(encoding="utf-8"))
    for name in ("source_library", "result_library"):
        comparison = report["comparisons"][name]
        assert comparison["library"] == "transformers"
        assert comparison["largest_difference"] < 1e-5, comparison
        assert {"layer_1", "mlm_logits", "nsp_logits"} <= set(comparison["layers"])
