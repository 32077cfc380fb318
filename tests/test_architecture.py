"""The shape of the house: who imports whom, how long a file is, what the binaries promise."""

from __future__ import annotations

import ast
import configparser
import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import keras_bert_suite

_REPOSITORY = Path(__file__).resolve().parent.parent
_PACKAGE = _REPOSITORY / "keras_bert_suite"
_MODULES = sorted(_PACKAGE.rglob("*.py"))
_BINARIES = sorted(_REPOSITORY.glob("bin/[a-z]*.py"))

# Tools without knowledge of the subject: every room may use them.
_TOOLS = {"files", "choices", "settings", "tensorflow_errors", "__version__"}
_MAY_IMPORT = {
    "__init__": {"checkpoints", "config", "models", "text", "training"},  # the public names
    "choices": set(),
    "cli": {"quiet_tensorflow"},
    "config": {"families"},
    "families": set(),
    "files": set(),
    "settings": set(),
    "tensorflow_errors": set(),
    "losses": set(),
    "quiet_tensorflow": set(),
    "metrics": set(),
    "text": set(),
    "layers": set(),
    "evaluation": set(),
    "data": {"text", "config"},
    "models": {"layers", "config", "losses", "metrics"},
    "tuning": {"layers", "models", "config"},
    "tasks": {"text", "data", "models", "losses", "metrics", "evaluation", "config"},
    "checkpoints": {"models", "tasks", "tuning", "text", "config", "families"},
    "training": {
        "text",
        "data",
        "models",
        "tasks",
        "tuning",
        "losses",
        "metrics",
        "evaluation",
        "checkpoints",
        "config",
    },
    "serving": {"text", "data", "models", "tasks", "checkpoints", "config"},
    "benchmark": {
        "text",
        "data",
        "models",
        "tasks",
        "checkpoints",
        "training",
        "serving",
        "config",
    },
}

# Flags that scripts rely on; a binary may have more.
_FLAGS = {
    "make_demo_data": "output_dir",
    "make_vocabulary": "input output_dir vocab_size lowercase",
    "make_pretraining_data": "input tokenizer output_dir num_shards workers",
    "pretrain": (
        "train_data eval_data tokenizer encoder init_from masking objectives sequence_length "
        "global_batch_size num_steps learning_rate strategy precision output_dir"
    ),
    "finetune": (
        "task init_from train_file dev_file tuning epochs learning_rate batch_size "
        "sequence_length seed strategy precision output_dir"
    ),
    "evaluate": (
        "model_dir data_file output_dir task predictions_file null_odds_file null_threshold"
    ),
    "ladder": (
        "text task train_file dev_file tokenizer encoder rungs seeds num_steps output_dir config"
    ),
    "predict": "model_dir input output",
    "convert_checkpoint": "source output_dir format",
    "edit_model": (
        "model_dir output_dir add_words vocabulary new_rows max_positions positions num_layers "
        "dtype"
    ),
    "export_model": "model_dir export_dir version precision",
    "serve": ("port rest_api_port model_name model_base_path model_config_file"),
    "query": "server model_name signature text rest",
    "benchmark": "suites output_dir rounds encoder model_dir torch_python onnx_python",
}


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(_REPOSITORY)) for path in paths]


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path) -> Iterator[str]:
    """The rooms of the package that a file imports."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are written in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "keras_bert_suite" and rest:
                yield rest.split(".")[0]


@functools.cache
def _help(binary: str) -> str:
    result = subprocess.run(
        [sys.executable, _REPOSITORY / "bin" / f"{binary}.py", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def _flags(binary: str) -> set[str]:
    return set(re.findall(r"^  --(?:\[no\])?(\w+)", _help(binary), re.MULTILINE))


@pytest.mark.parametrize("path", _MODULES, ids=_names(_MODULES))
def test_imports_go_one_way(path):
    room = path.relative_to(_PACKAGE).parts[0].removesuffix(".py")
    imported = set(_imports(path)) - {room}
    assert "bin" not in imported, "nothing imports the binaries"
    too_far = imported - _MAY_IMPORT[room] - (_TOOLS if room not in _TOOLS else set())
    assert not too_far, f"{room} may not import {', '.join(sorted(too_far))}"


@pytest.mark.parametrize("path", _MODULES, ids=_names(_MODULES))
def test_files_are_short_named_for_their_subject_and_documented(path):
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= 300
    assert path.stem not in ("utils", "util", "helpers", "common", "misc")
    assert ast.get_docstring(_tree(path)), "the module has no docstring"


@pytest.mark.parametrize("path", _BINARIES, ids=_names(_BINARIES))
def test_a_binary_is_flags_one_call_and_a_report(path):
    source = path.read_text(encoding="utf-8")
    num_lines = len(source.splitlines())
    assert num_lines <= 100
    # bin/_python finds a Python that has the libraries; /usr/bin/env -S splits the line.
    expected = (
        """#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'"""
    )
    assert source.splitlines()[0] == expected
    assert os.access(path, os.X_OK)
    functions = {node.name for node in _tree(path).body if isinstance(node, ast.FunctionDef)}
    assert {"main", "run"} <= functions
    shows_example = f"bin/{path.name} --" in (ast.get_docstring(_tree(path)) or "")
    assert shows_example


@pytest.mark.parametrize("binary", _FLAGS)
def test_a_binary_has_the_flags_that_scripts_rely_on(binary):
    missing = set(_FLAGS[binary].split()) - _flags(binary)
    assert not missing


def test_every_binary_is_known_here():
    assert {path.stem for path in _BINARIES} == set(_FLAGS)


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(_REPOSITORY / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_and_binary_is_installed():
    setup = _setup()
    packages = {".".join(path.parent.relative_to(_REPOSITORY).parts) for path in _MODULES}
    listed = setup["options"]["packages"].split()
    assert set(listed) == packages | {"keras_bert_suite.bin", "keras_bert_suite.recipes"}
    commands = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    expected = {
        f"kbs-{path.stem.replace('_', '-')} = keras_bert_suite.bin.{path.stem}:run"
        for path in _BINARIES
    }
    assert set(commands) == expected


def test_what_is_imported_is_a_requirement():
    """Third-party names in the sources, against setup.cfg."""
    distribution_of = {
        "absl": "absl-py",
        "google": "protobuf",
        "grpc": "grpcio",
        "grpc_health": "grpcio-health-checking",
        "grpc_reflection": "grpcio-reflection",
        "keras_hub": "keras-nlp",
        "ml_dtypes": "ml-dtypes",
        "prometheus_client": "prometheus-client",
        "tensorflow_serving": "tensorflow-serving-api",
        "tensorflow_text": "tensorflow-text",
        "apache_beam": "apache-beam",
        "official": "tf-models-official",
    }
    imported = set()
    for path in [*_MODULES, *_BINARIES]:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
            elif isinstance(node, ast.Import):
                imported.update(alias.name.split(".")[0] for alias in node.names)
    foreign = imported - set(sys.stdlib_module_names) - {"keras_bert_suite"}
    setup = _setup()
    extras = setup["options.extras_require"]
    optional = [extras["kubernetes"], extras["beam"], extras["benchmark"]]
    # The benchmark's peers live in virtual environments of their own.
    optional += [path.read_text() for path in sorted(_PACKAGE.glob("benchmark/requirements/*.txt"))]
    lines = "\n".join([setup["options"]["install_requires"], *optional]).splitlines()
    requirements = {
        re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")
    }
    assert {distribution_of.get(name, name) for name in foreign} <= requirements


def test_dir_shows_the_public_names_alone():
    names = {name for name in dir(keras_bert_suite) if not name.startswith("__")}
    assert names == set(keras_bert_suite.__all__) - {"__version__"}


def test_public_names_resolve():
    for name in keras_bert_suite.__all__:
        assert getattr(keras_bert_suite, name) is not None, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        keras_bert_suite.nothing  # noqa: B018


def test_importing_the_package_imports_no_library():
    code = (
        "import sys, keras_bert_suite; print([m for m in ('numpy', 'keras') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.skipif("KBS_TEST_INSTALLED" not in os.environ, reason="set by bin/test")
def test_the_installed_package_is_tested():
    assert not Path(keras_bert_suite.__file__).is_relative_to(_PACKAGE)


def _code_blocks(language: str) -> str:
    readme = (_REPOSITORY / "README.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL))


def test_the_readme_s_commands_exist():
    lines = _code_blocks("sh").replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    seen = set()
    for words in filter(None, commands):
        program = words[0]
        if not program.startswith(("bin/", "kbs-")):
            continue
        seen.add(program)
        binary = program.removeprefix("bin/").removesuffix(".py")
        binary = binary.removeprefix("kbs-").replace("-", "_") if "kbs-" in program else binary
        if program.startswith("bin/"):
            assert os.access(_REPOSITORY / program, os.X_OK), program
        if binary in _FLAGS:
            used = {word[2:].split("=")[0] for word in words[1:] if word.startswith("--")}
            assert used <= _flags(binary), f"{program}: {used - _flags(binary)}"
    assert {"bin/demo", "bin/test"} <= seen


def test_the_readme_s_names_exist():
    code = _code_blocks("python")
    names = set(re.findall(r"\bkbs\.(\w+)", code))
    assert names
    assert names <= set(keras_bert_suite.__all__)
