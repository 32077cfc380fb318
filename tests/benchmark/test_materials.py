"""Texts and settings of the benchmark."""

import pytest

from keras_bert_suite.benchmark import peers, running, suites
from keras_bert_suite.benchmark.materials import Materials, Settings, Texts
from keras_bert_suite.config import EncoderConfig


def test_texts_have_the_lengths_asked_for(tmp_path):
    (tmp_path / "text.txt").write_text("one two three\n\nfour five\n", encoding="utf-8")
    texts = Texts(Settings(text=str(tmp_path / "*.txt")), tmp_path / "work")
    assert texts.all == ["one two three", "four five"]
    # (8 - 2) / 1.3 = 4.6 words; the words go round
    assert texts.of_lengths([8, 2]) == ["one two three four five", "one"]
    # 13 + 1 and 9 + 1 bytes: 24 a round
    assert len(texts.lines(24e-6)) == 2
    assert len(texts.lines(25e-6)) == 3


def test_a_text_without_text(tmp_path):
    (tmp_path / "text.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(ValueError, match="No text in "):
        Texts(Settings(text=str(tmp_path / "text.txt")), tmp_path).all  # noqa: B018


def test_the_user_s_encoder_takes_the_place_of_the_suite_s(tmp_path):
    default = EncoderConfig.from_name("base")

    def config(settings, **changes):
        return Materials(settings, tmp_path, Texts(settings, tmp_path)).config(default, **changes)

    assert config(Settings()).num_layers == 12
    told = config(Settings(encoder="tiny"), vocab_size=99)
    assert (told.num_layers, told.vocab_size, told.activation) == (2, 99, "gelu_tanh")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "threads must be at least 1. Received: 0"),
        ({"scale": 0.0}, r"scale must be in \(0, 1\]. Received: 0.0"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings(**settings)


def test_suites_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="Unknown suite 'encode'. Known: matmul, encoder"):
        running.run_benchmark(["encode"], Settings(), output_dir=tmp_path, rounds=1)
    with pytest.raises(ValueError, match="Name at least one suite of matmul"):
        running.run_benchmark([], Settings(), output_dir=tmp_path, rounds=1)


def test_every_suite_says_what_it_is():
    for name in suites.names():
        module = suites.suite(name)
        assert module.__doc__.splitlines()[0].endswith(".")
        assert callable(module.cases)


def test_who_stays_away_is_told_with_the_flag():
    told = running.absent(Settings(torch_python="python"))
    assert "onnxruntime (--onnx_python)" in told
    assert not any("PyTorch" in text for text in told)


def test_a_peer_comes_with_its_environment():
    told = Settings(torch_python="t/python", onnx_python="o/python", threads=2)
    (torch,) = peers.torch_entrant(told, "PyTorch", "torch_encoder", dtype="float32")
    assert (torch.python, torch.options) == ("t/python", {"dtype": "float32"})
    (onnx,) = peers.onnx_entrant(told, "onnxruntime", "onnx_encoder", model_dir="m")
    # Others are told by variables of the environment.
    assert (onnx.python, onnx.options) == ("o/python", {"model_dir": "m", "threads": 2})
    assert peers.torch_entrant(Settings(), "PyTorch", "torch_encoder") == []
    config = EncoderConfig.from_name("tiny")
    assert peers.model_garden_entrant(told, "Model Garden", "x", config, "float32") == []
