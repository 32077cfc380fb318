"""What every binary shares: flags, readable help, errors in one line, exit statuses.

A binary `bin/NAME.py` looks like this, and is installed as the command `kbs-NAME`:

    #!/usr/bin/env python3
    \"\"\"What it does, in one line.

    Examples, in full.
    \"\"\"

    from absl import flags

    from keras_bert_suite import cli

    _INPUT = flags.DEFINE_string("input", None, "What to read.", required=True)


    def main(argv):
        from keras_bert_suite.room.module import work  # TensorFlow comes in late: quick --help

        work(_INPUT.value)


    def run():
        cli.run(main)


    if __name__ == "__main__":
        run()

`--help` shows the module's docstring and the flags that this binary defines, with their defaults.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging

from keras_bert_suite import quiet_tensorflow

quiet_tensorflow.install()

_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error, not its message alone.")

_HELP = ("--help", "-help", "-h", "--helpshort", "-helpshort", "-?", "--?")
_REQUIRED = "must have a value other than None"
_WIDTH = 100


def run(main: Callable[[list[str]], int | None], *, argv: list[str] | None = None) -> None:
    """Parses the flags, calls `main` and leaves the process with its exit status.

    Args:
      main: takes the arguments that are no flags, the program's name first; returns the exit
        status or None for 0. A ValueError or OSError it raises becomes one line on stderr.
      argv: the command line, `sys.argv` by default.

    Exit statuses: what `main` returned; 1 for a wrong flag and for an error that the user can
    repair; 130 after Ctrl-C. Anything else is our own fault and shows its traceback.
    """
    argv = list(sys.argv if argv is None else argv)
    _leave_out_own_directory(argv[0])
    module = sys.modules[main.__module__]

    def parse(arguments: list[str]) -> list[str]:
        if _asks_for_help(arguments):
            sys.exit(_written(lambda: print(help_text(module), flush=True)))
        try:
            remaining = flags.FLAGS(arguments)
        except flags.Error as error:
            missing = re.search(rf"Flag (--\w+) {_REQUIRED}", str(error))
            message = f"flag {missing[1]} is required" if missing else _one_line(error)
            _report(f"{message} (--help lists the flags)")
            sys.exit(1)
        if flags.FLAGS["verbosity"].using_default_value:
            # app.run would choose INFO.
            flags.FLAGS.verbosity = logging.WARNING  # type: ignore[assignment]
        return remaining

    app.run(lambda arguments: _guarded(main, arguments), argv=argv, flags_parser=parse)


def help_text(module) -> str:
    """The docstring of a binary's module and the flags that it defines, as one text."""
    parts = [textwrap.dedent(module.__doc__ or "").strip(), "", "Flags:"]
    own = sorted(flags.FLAGS.get_key_flags_for_module(module), key=lambda flag: flag.name)
    required = [flag for flag in own if _is_required(flag)]
    for flag in required + [flag for flag in own if not _is_required(flag)]:
        parts.append(_flag_help(flag))
    parts.append(_flag_help(flags.FLAGS["debug"]))
    parts.append("\n--helpfull shows the flags of the libraries too.")
    return "\n".join(parts)


def _flag_help(flag: flags.Flag) -> str:
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        name += "=" + "|".join(choices)
    if _is_required(flag):
        note = " (required)"
    elif flag.default is None or flag.default == "":
        note = ""
    else:
        note = f" (default: {str(flag.default_as_str).strip(chr(39))})"
    # absl puts the choices before the help of an enum; here they stand with its name.
    text = " ".join(re.sub(r"^<[^>]*>: ", "", flag.help or "").split())
    wrapped = textwrap.fill(text + note, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {name}\n{wrapped}"


def _is_required(flag: flags.Flag) -> bool:
    # absl keeps no such field: a required flag is one with this validator.
    return any(_REQUIRED in validator.message for validator in flag.validators)


def _guarded(main: Callable[[list[str]], int | None], argv: list[str]) -> int | None:
    """Calls `main`; turns what a user can repair into one line."""
    try:
        return _written(lambda: main(argv))
    except KeyboardInterrupt:
        _report("interrupted")
        return 130
    except (ValueError, OSError) as error:
        if _DEBUG.value:
            traceback.print_exc()
        _report(_one_line(error))
        return 1


def _written(call: Callable[[], int | None]) -> int | None:
    """Calls what prints; 0 where the reader of our output went away (`| head`)."""
    try:
        return call()
    except BrokenPipeError:
        # Nothing is wrong, and nobody listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _report(message: str) -> None:
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


def _asks_for_help(arguments: list[str]) -> bool:
    own = arguments[1 : arguments.index("--")] if "--" in arguments else arguments[1:]
    return any(argument in _HELP for argument in own)


def _leave_out_own_directory(program: str) -> None:
    """Keeps a binary's neighbours (evaluate.py, ...) from hiding libraries of the same name."""
    if sys.path and Path(sys.path[0] or ".").resolve() == Path(program).resolve().parent:
        del sys.path[0]
