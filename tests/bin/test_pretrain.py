"""The binary itself: what it prints and its exit status (the rest is in tests/training)."""

import json
import subprocess
import sys

import pytest
import tiny_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    tiny_corpus.make_corpus(directory)
    return directory


def pretrain(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "keras_bert_suite.bin.pretrain", *arguments],
        cwd="/",  # the checkout, were it the working directory, would hide the installed package
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_help_reads_well_and_does_not_wait_for_tensorflow():
    code = (
        "import sys\n"
        "from keras_bert_suite.bin import pretrain\n"
        "sys.argv = ['pretrain.py', '--help']\n"
        "try:\n    pretrain.run()\n"
        "finally:\n    assert 'tensorflow' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Pre-trains a BERT on token records")
    assert "--global_batch_size\n      Rows of an optimizer step" in run.stdout


def test_config_file_flags_summary_and_config_errors(corpus, tmp_path):
    path = tmp_path / "run.json"
    values = tiny_corpus.settings_of(corpus, num_steps=9, output_dir=str(tmp_path / "out"))
    path.write_text(json.dumps(values))
    run = pretrain(f"--config={path}", "--num_steps=4", "--objectives=mlm")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith("Wrote the model after 4 steps to ")
    assert "step 4/4  loss" in run.stderr  # no terminal: plain lines
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["settings"]["num_steps"] == 4 and record["settings"]["objectives"] == ["mlm"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: These flags are required: --train_data, --output_dir."),
        (["--num_steps=many"], "flag --num_steps=many"),
        (
            ["--train_data=x", "--output_dir=y"],
            "error: --tokenizer is required without --init_from.",
        ),
        (["--config=/none.json"], "/none.json"),
    ],
)
def test_wrong_flags_are_one_line_and_status_1(arguments, message):
    run = pretrain(*arguments)
    assert run.returncode == 1
    assert message in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
