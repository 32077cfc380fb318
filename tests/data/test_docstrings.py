"""Documents from docstrings, on small trees of source files written here."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_bert_suite.data.docstrings import (
    Document,
    clean,
    collect_documents,
    fingerprint,
    installed_roots,
)

_PROSE = (
    "Walks over every cell of the table and adds what it finds there to the sum. "
    "The order of the cells does not matter for whole numbers."
)


def _write(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_module_class_and_functions_are_documents(tmp_path):
    _write(
        tmp_path,
        "alpha/__init__.py",
        f'''"""Module. {_PROSE}"""
class Table:
    """Class. {_PROSE}

    Second paragraph,
    of two lines.
    """
    def sum(self):
        """Method. {_PROSE}"""
        def inner():
            """Inner. {_PROSE}"""
if True:
    async def late():
        """Late. {_PROSE}"""
short = lambda: 0
def brief():
    """Too short to say something."""
''',
    )
    documents = collect_documents({tmp_path: None})
    assert [document.name for document in documents] == [
        "alpha",
        "alpha.Table",
        "alpha.Table.sum",
        "alpha.Table.sum.inner",
        "alpha.late",
    ]
    assert {document.package for document in documents} == {"alpha"}
    assert documents[1].paragraphs == [f"Class. {_PROSE}", "Second paragraph, of two lines."]


def test_a_root_can_be_one_package(tmp_path):
    _write(tmp_path, "json/tool.py", f'"""{_PROSE}"""')
    (document,) = collect_documents({tmp_path: "python"})
    assert document == Document(text=_PROSE, package="python", name="json.tool")


def test_files_that_are_no_python_are_passed_over(tmp_path):
    _write(tmp_path, "a/good.py", f'"""{_PROSE}"""')
    _write(tmp_path, "a/syntax.py", f'"""{_PROSE}"""\nprint "two"')
    _write(tmp_path, "a/bytes.py", b'"""' + _PROSE.encode() + b' \xff"""')
    _write(tmp_path, "a/zero.py", b'"""' + _PROSE.encode() + b' \x00"""')
    _write(tmp_path, "a/deep.py", "x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "a" / "gone.py").symlink_to("nowhere.py")
    assert [document.name for document in collect_documents({tmp_path: None})] == ["a.good"]


def test_another_declared_encoding_is_read(tmp_path):
    source = f'# -*- coding: latin-1 -*-\n"""Größe. {_PROSE}"""'
    _write(tmp_path, "a.py", source.encode("latin-1"))
    (document,) = collect_documents({tmp_path: None})
    assert document.text == f"Größe. {_PROSE}"


def test_text_that_utf8_cannot_hold_is_left_out(tmp_path):
    _write(tmp_path, "a.py", f'"""Surrogate \\ud800. {_PROSE}"""')
    _write(tmp_path, "b.py", f'"""Zero \\0. {_PROSE}"""')
    _write(tmp_path, "c.py", f'"""{_PROSE}"""')
    assert [document.name for document in collect_documents({tmp_path: None})] == ["c"]


@pytest.mark.parametrize(
    "name",
    ["p/tests/a.py", "p/_vendor/a.py", "p/test_a.py", "p/a_test.py", "keras_bert_suite/a.py"],
)
def test_tests_vendored_files_and_the_suite_itself_are_left_out(tmp_path, name):
    _write(tmp_path, name, f'"""{_PROSE}"""')
    with pytest.raises(ValueError, match="no docstrings of at least 100 characters below"):
        collect_documents({tmp_path: None})


def test_copies_are_left_out(tmp_path):
    ending = " ".join(f"word{index}" for index in range(40))
    _write(tmp_path, "a.py", f'"""{_PROSE} {ending}"""')
    _write(tmp_path, "b.py", f'"""{_PROSE.upper()} {ending} and another end"""')
    _write(tmp_path, "c.py", f'"""Not {_PROSE} {ending}"""')
    assert [document.name for document in collect_documents({tmp_path: None})] == ["a", "c"]


def test_tables_of_numbers_are_left_out(tmp_path):
    _write(tmp_path, "a.py", '"""Table: ' + "0.25 | 17 | 99; " * 20 + '"""')
    _write(tmp_path, "b.py", f'"""{_PROSE}"""')
    assert [document.name for document in collect_documents({tmp_path: None})] == ["b"]


def test_the_number_of_workers_changes_nothing(tmp_path):
    for index in range(3):
        _write(tmp_path, f"m{index}.py", f'"""Number {"i" * (index + 1)}. {_PROSE}"""')
    assert collect_documents({tmp_path: None}, workers=2) == collect_documents({tmp_path: None})


def test_clean_takes_out_code():
    docstring = """Adds.

Example:

>>> add(1, 2)
3

```python
add(1, 2)
```

   



Args:
  x: a number.   """
    assert clean(docstring) == "Adds.\n\nExample:\n\nArgs:\n  x: a number."


def test_fingerprint_sees_words_alone():
    assert fingerprint("Layer_12: `A` — b!") == fingerprint("layer 7 a B") == "layer 0 a b"
    assert fingerprint("über") == "über"


def test_this_installation_has_documents():
    """The standard library's and pytest's, at the least: what the demo lives on."""
    roots = installed_roots()
    assert "python" in roots.values()
    site = next(root for root, package in roots.items() if package is None)
    documents = collect_documents({site / "_pytest": "_pytest"})
    assert len(documents) > 100  # pytest 9.2: 565
