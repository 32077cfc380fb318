"""Files and directories that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_REMEDIES = {
    errno.ENOSPC: "Free some space or choose another place.",
    errno.EDQUOT: "Free some of the quota or choose another place.",
    errno.EFBIG: "Choose a place without this limit on the size of a file.",
    errno.EACCES: "Choose a place that can be written or change its permissions.",
    errno.EPERM: "Choose a place that can be written or change its permissions.",
    errno.EROFS: "Choose a place that can be written.",
    errno.EISDIR: "Choose the name of a file, not of a directory.",
    errno.EEXIST: "A part of this path is a file; choose another place.",
    errno.ENOTDIR: "A part of this path is a file; choose another place.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w", **open_options: Any) -> Iterator[IO]:
    """Opens a new file that takes the place of `path` when the block ends well.

    Missing parent directories are made. Whatever is written goes to a temporary sibling, which is
    flushed to the disk and renamed over `path`; an exception in the block, or a full disk, removes
    the sibling and leaves what was there before.

    Args:
      path: the file to make or replace; through a symbolic link, the link's target.
      mode: "w" (UTF-8 unless `open_options` says otherwise) or "wb".
      **open_options: passed to `open`.

    Yields:
      The open temporary file.

    Raises:
      ValueError: another mode.
      OSError: the file could not be written; names `path` and a remedy, keeps `errno`.
    """
    if mode not in ("w", "wb"):
        raise ValueError(
            f"atomic_write writes whole files: mode must be 'w' or 'wb'. Received: {mode!r}"
        )
    if mode == "w":
        open_options.setdefault("encoding", "utf-8")
    target = Path(os.path.realpath(path))
    temporary = _temporary_sibling(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, **open_options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _fsync_directory(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _explained(error, temporary=temporary, path=path) from error


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike, *, replace: bool = True) -> Iterator[Path]:
    """Makes a new directory that takes the place of `path` when the block ends well.

    An exception in the block, or a full disk, removes the new directory and leaves what was there
    before. Replacing needs two renames (the old directory aside, the new one in its place): a
    process killed between them leaves both as hidden siblings of `path`.

    Args:
      path: the directory to make. Missing parents are made.
      replace: whether a directory at `path` is replaced as a whole; otherwise it is an error.

    Yields:
      The temporary sibling to fill.

    Raises:
      FileExistsError: `path` exists and `replace` is False.
      OSError: the directory could not be written; names `path` and a remedy, keeps `errno`.
    """
    target = Path(os.path.realpath(path))
    if not replace and target.exists():
        raise FileExistsError(f"{path} exists already. Choose another place or remove it first.")
    temporary = _temporary_sibling(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _fsync(os.path.join(folder, name))
            _fsync_directory(folder)
        _move_into_place(temporary, target)
        _fsync_directory(target.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _explained(error, temporary=temporary, path=path) from error


def _move_into_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        os.rename(temporary, target)
        return
    aside = _temporary_sibling(target)
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _temporary_sibling(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")


def _fsync(path: str | os.PathLike) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_directory(path: str | os.PathLike) -> None:
    # Some network file systems refuse to sync a directory; the rename itself has happened.
    with contextlib.suppress(OSError):
        _fsync(path)


def _explained(error: BaseException, *, temporary: Path, path: Any) -> BaseException:
    """The error to raise: an OSError about our own file gets a remedy, others stay as they are."""
    if not isinstance(error, OSError) or error.errno is None:
        return error
    # An error about some other file (one that the block was reading) is not ours to explain.
    named = error.filename
    if isinstance(named, str) and str(temporary.parent) not in (
        named,
        *map(str, Path(named).parents),
    ):
        return error
    reason = os.strerror(error.errno)
    remedy = _REMEDIES.get(error.errno, "")
    message = f"Cannot write {os.fspath(path)}: {reason}. {remedy}".rstrip()
    explained = type(error)(f"{message} Nothing there was changed.")
    explained.errno = error.errno
    return explained
