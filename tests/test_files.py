"""Files and directories appear complete or not at all."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from keras_bert_suite.files import atomic_directory, atomic_write


def _names(directory):
    return sorted(os.listdir(directory))


def test_write_makes_the_file_and_its_parents(tmp_path):
    path = tmp_path / "new" / "deep" / "a.txt"
    with atomic_write(path) as file:
        file.write("ä\n")
        assert not path.exists()
    assert path.read_bytes() == "ä\n".encode()
    assert _names(path.parent) == ["a.txt"]


def test_write_replaces_binary_content(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path, "wb") as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_write_has_the_usual_permissions(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.txt") as file:
            file.write("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_write_through_a_link_replaces_its_target(tmp_path):
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("target.txt")
    with atomic_write(tmp_path / "link.txt") as file:
        file.write("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_write_that_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)) as caught, atomic_write(path) as file:
        file.write("half")
        raise error
    assert caught.value is error
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_write_names_the_path_and_the_remedy_on_a_full_disk(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError) as caught, atomic_write(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value) == (
        f"Cannot write {path}: No space left on device. "
        "Free some space or choose another place. Nothing there was changed."
    )
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_write_explains_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.txt"
    with (
        pytest.raises(OSError, match="A part of this path is a file"),
        atomic_write(path),
    ):
        pass


def test_write_leaves_errors_about_other_files_alone(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a.txt"):
        open("/no/such/file")
    assert caught.value.filename == "/no/such/file"


def test_write_only_writes_whole_files(tmp_path):
    with pytest.raises(ValueError, match="must be 'w' or 'wb'. Received: 'a'"):
        with atomic_write(tmp_path / "a.txt", "a"):
            pass


def test_directory_appears_at_the_end(tmp_path):
    path = tmp_path / "new" / "model"
    with atomic_directory(path) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text("a")
        assert temporary.parent == path.parent
        assert not path.exists()
    assert (path / "sub" / "a.txt").read_text() == "a"
    assert _names(path.parent) == ["model"]


def test_directory_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with atomic_directory(path) as temporary:
        (temporary / "new.txt").write_text("new")
        assert _names(path) == ["old.txt"]
    assert _names(path) == ["new.txt"]
    assert _names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_directory_that_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with pytest.raises(type(error)), atomic_directory(path) as temporary:
        (temporary / "new.txt").write_text("half")
        raise error
    assert _names(path) == ["old.txt"]
    assert _names(tmp_path) == ["model"]


def test_directory_comes_back_when_the_second_rename_fails(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old.txt").write_text("old")
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="No space left on device. Free some space"):
        with atomic_directory(path) as temporary:
            (temporary / "new.txt").write_text("new")
    assert _names(path) == ["old.txt"]
    assert _names(tmp_path) == ["model"]


def test_directory_refuses_to_replace_when_told_so(tmp_path):
    path = tmp_path / "1"
    path.mkdir()
    with pytest.raises(FileExistsError, match="exists already. Choose another place"):
        with atomic_directory(path, replace=False):
            pass
    assert _names(tmp_path) == ["1"]
