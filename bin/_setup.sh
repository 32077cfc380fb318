# Sourced by bin/test, bin/demo and .ci/run: finds a Python and prepares a virtual environment.
# Needs $root, the directory of the checkout.

fail() {
  echo "error: $*" >&2
  exit 1
}

# Prints the first Python 3.11-3.13 that can make virtual environments. $PYTHON comes first.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python python3.12 python3.13 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip was found on the PATH." \
    "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv) or set PYTHON."
}

# quietly DIRECTORY COMMAND...: runs a command; what it prints is shown only if it fails.
quietly() {
  local log="$1/setup.log"
  shift
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    fail "this failed: $*"
  fi
}

# prepare_environment DIRECTORY EXTRA: makes or updates a virtual environment that holds the
# requirements and the package itself - installed, not linked, so that what runs is what users get.
# Does nothing twice: stamps tell what the environment was made from.
prepare_environment() {
  local directory="$1" extra="$2" python requirements sources
  if [ ! -x "$directory/bin/python" ]; then
    python="$(find_python)"
    echo "Making ${directory#"$root"/} with $("$python" --version) (the install takes some minutes)"
    "$python" -m venv "$directory" || fail "$python cannot make $directory"
  fi
  python="$directory/bin/python"
  "$python" -c '' || fail "$python does not run; remove $directory and start again"
  requirements="$(cd "$root" && cat setup.cfg pyproject.toml | sha256sum)"
  sources="$(cd "$root" && find bin keras_bert_suite recipes README.md setup.cfg pyproject.toml -type f \
    ! -name '*.pyc' | LC_ALL=C sort | xargs sha256sum | sha256sum)"
  local options=(--disable-pip-version-check --no-input --root-user-action=ignore)
  if [ "$(cat "$directory/.requirements-$extra" 2>/dev/null)" != "$requirements" ]; then
    rm -f "$directory"/.requirements-* "$directory"/.sources
    rm -rf "$root/build"
    quietly "$directory" "$python" -m pip install "${options[@]}" "$root[$extra]"
    echo "$requirements" >"$directory/.requirements-$extra"
    # What develops holds what tests.
    [ "$extra" != dev ] || echo "$requirements" >"$directory/.requirements-test"
  fi
  if [ "$(cat "$directory/.sources" 2>/dev/null)" != "$sources" ]; then
    rm -rf "$root/build" # setuptools would install files that the checkout no longer has
    quietly "$directory" "$python" -m pip install "${options[@]}" --no-deps --force-reinstall "$root"
    rm -rf "$root/build" "$root"/*.egg-info
    echo "$sources" >"$directory/.sources"
  fi
}
