"""Binaries: help, flags, errors in one line, exit statuses. Each runs as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

_BINARY = '''\
"""Greets somebody.

Example:

    bin/greet.py --name=Ada
"""

import os
import sys
import time

from absl import flags

from keras_bert_suite import cli

_NAME = flags.DEFINE_string("name", None, "Whom to greet.", required=True)
_TIMES = flags.DEFINE_integer("times", 1, "How often.")
_TONE = flags.DEFINE_enum("tone", "kind", ["kind", "rude"], "In which tone.")


def main(argv):
    if _NAME.value == "nobody":
        raise ValueError("--name must name somebody.\\nReceived: nobody")
    if _NAME.value == "missing":
        open("/no/such/file")
    if _NAME.value == "broken":
        raise RuntimeError("our own fault")
    if _NAME.value == "wait":
        print("waiting", flush=True)
        time.sleep(60)
    if _NAME.value == "path":
        print(any(os.path.exists(os.path.join(p, "greet.py")) for p in sys.path))
        return 0
    for _ in range(_TIMES.value):
        print(f"Hello, {_NAME.value}!")
    return 3 if _TONE.value == "rude" else None


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
'''


@pytest.fixture
def greet(tmp_path: Path) -> Path:
    path = tmp_path / "greet.py"
    path.write_text(_BINARY)
    return path


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_binary_prints_and_succeeds(greet):
    result = _run(greet, "--name=Ada", "--times=2")
    assert (result.returncode, result.stdout, result.stderr) == (
        0,
        "Hello, Ada!\n" * 2,
        "",
    )


def test_what_main_returns_is_the_exit_status(greet):
    assert _run(greet, "--name=Ada", "--tone=rude").returncode == 3


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort"])
def test_help_shows_the_docstring_and_only_this_binary_s_flags(greet, flag):
    result = _run(greet, flag)
    assert result.returncode == 0
    assert result.stdout == textwrap.dedent(
        """\
        Greets somebody.

        Example:

            bin/greet.py --name=Ada

        Flags:
          --name
              Whom to greet. (required)
          --times
              How often. (default: 1)
          --tone=kind|rude
              In which tone. (default: kind)
          --[no]debug
              Show the traceback of an error, not its message alone. (default: false)

        --helpfull shows the flags of the libraries too.
        """
    )


def test_help_works_for_an_installed_command(greet):
    """The entry point imports the module under another name than __main__."""
    code = "import sys, greet; sys.argv = ['kbs-greet', '--help']; greet.run()"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=greet.parent,
        timeout=60,
    )
    assert result.returncode == 0
    assert "--times" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nam=Ada"], "error: Unknown command line flag 'nam'. Did you mean: name ?"),
        (["--times=2"], "error: flag --name is required"),
        (["--name=Ada", "--times=x"], "flag --times=x: invalid literal for int()"),
        (
            ["--name=Ada", "--tone=odd"],
            "flag --tone=odd: value should be one of <kind|rude>",
        ),
    ],
)
def test_a_wrong_flag_is_one_line(greet, arguments, message):
    result = _run(greet, *arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.endswith("(--help lists the flags)\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nobody", "error: --name must name somebody. Received: nobody\n"),
        ("missing", "error: No such file or directory: /no/such/file\n"),
    ],
)
def test_what_the_user_can_repair_is_one_line(greet, name, line):
    result = _run(greet, f"--name={name}")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", line)


def test_debug_shows_the_traceback(greet):
    result = _run(greet, "--name=nobody", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: --name must name somebody. Received: nobody\n")


def test_our_own_fault_shows_its_traceback(greet):
    result = _run(greet, "--name=broken")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_ctrl_c_ends_with_130(greet):
    process = subprocess.Popen(
        [sys.executable, greet, "--name=wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.2)  # from the print into the sleep
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "error: interrupted\n")


def test_a_reader_that_goes_away_is_no_error(greet):
    command = f"{sys.executable} {greet} --name=Ada --times=100000 | head -n 1; "
    command += "echo ${PIPESTATUS[0]}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("Hello, Ada!\n0\n", "")
    command = f"(sleep 0.5; {sys.executable} {greet} --help) | true; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_neighbours_of_a_binary_do_not_hide_libraries(greet):
    assert _run(greet, "--name=path").stdout == "False\n"


def test_help_of_every_binary_is_quick(repository):
    """TensorFlow takes seconds to import; --help must not wait for it."""
    binaries = sorted((repository / "bin").glob("[a-z]*.py"))
    slow = {}
    for binary in binaries:
        start = time.monotonic()
        result = subprocess.run(
            [sys.executable, "-X", "importtime", binary, "--help"],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "100"},
            timeout=60,
        )
        assert result.returncode == 0, f"{binary.name}: {result.stderr[-2000:]}"
        assert result.stdout.count("\n") > 5, binary.name
        if re.search(r"\| +tensorflow$", result.stderr, re.MULTILINE):
            slow[binary.name] = time.monotonic() - start
    assert not slow, f"these import TensorFlow for --help: {slow}"
