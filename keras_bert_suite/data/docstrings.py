"""Documents without a download: the docstrings of the Python packages that are installed.

One docstring is one document. Files are read and parsed, never imported. The same installation
gives the same documents in the same order.
"""

from __future__ import annotations

import ast
import dataclasses
import multiprocessing
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# Documentation of tests says little; what other packages carry along is not their own.
_LEFT_OUT = {"test", "tests", "testing", "testdata", "_vendor", "vendored", "site-packages"}
_LEFT_OUT_PACKAGES = {"keras_bert_suite", "__pycache__"}

# A document has some sentences of prose: shorter ones are "Returns the name." by the thousand.
_MIN_CHARACTERS = 100
_MIN_SHARE_OF_LETTERS = 0.7
# Two docstrings that begin with the same words are copies with another ending (`sum`, `sum_v2`).
_WORDS_OF_A_COPY = 40

_FENCED_CODE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_DOCTEST = re.compile(r"^[ \t]*>>>.*(?:\n[ \t]*\S.*)*\n?", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*\n")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """One docstring.

    Attributes:
      text: without code blocks and doctests; paragraphs are separated by blank lines.
      package: the top-level package that it comes from; "python" for the standard library.
      name: dotted path of the module, class or function, for people.
    """

    text: str
    package: str
    name: str

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs with single spaces inside, in order."""
        return [" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", self.text)]


def installed_roots() -> dict[Path, str | None]:
    """Directory -> the package its files belong to (None: each entry is a package of its own)."""
    paths = sysconfig.get_paths()
    roots: dict[Path, str | None] = {Path(paths[key]): None for key in ("purelib", "platlib")}
    return {**roots, Path(paths["stdlib"]): "python"}


def collect_documents(
    roots: dict[Path, str | None] | None = None, *, workers: int = 1
) -> list[Document]:
    """The docstrings below some directories, copies left out.

    Args:
      roots: as `installed_roots()` gives, which is the default.
      workers: processes that parse; the result does not depend on it.

    Returns:
      The documents, by root and path, then by position in the file.

    Raises:
      ValueError: there is no docstring below `roots`.
    """
    roots = installed_roots() if roots is None else roots
    files = [item for root, package in roots.items() for item in _files_of(root, package)]
    if workers > 1:
        # Spawned, not forked: the caller may have started TensorFlow's threads.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            found = list(pool.map(_documents_of, files, chunksize=64))
    else:
        found = [_documents_of(item) for item in files]
    documents = list(_without_copies(document for part in found for document in part))
    if not documents:
        places = ", ".join(map(str, roots))
        raise ValueError(f"no docstrings of at least {_MIN_CHARACTERS} characters below {places}")
    return documents


def fingerprint(text: str) -> str:
    """The words of a text, lower case, digits as 0: equal for texts that differ in form alone."""
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"\d+", "0", text.lower())))


def clean(docstring: str) -> str:
    """A docstring without code blocks and doctests, trailing spaces and runs of blank lines."""
    text = _DOCTEST.sub("", _FENCED_CODE.sub("", docstring))
    text = "\n".join(line.rstrip() for line in text.splitlines())
    return _BLANK_LINES.sub("\n\n", text).strip()


def _files_of(root: Path, package: str | None) -> list[tuple[Path, str, str]]:
    """(file, package, module name) of every source file below a root, sorted by path."""
    items = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        owner = package or parts[0]
        is_test = path.name.startswith("test_") or path.name.endswith("_test.py")
        if is_test or _LEFT_OUT.intersection(parts) or owner in _LEFT_OUT_PACKAGES:
            continue
        module = ".".join(part for part in parts if part != "__init__")
        items.append((path, owner, module))
    return items


def _documents_of(item: tuple[Path, str, str]) -> list[Document]:
    path, package, module = item
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # templates, other versions' syntax, odd encodings: not ours to repair
    documents = []
    for name, docstring in _docstrings(tree, module):
        text = clean(docstring)
        if _is_prose(text):
            documents.append(Document(text=text, package=package, name=name))
    return documents


def _docstrings(node: ast.AST, scope: str) -> Iterator[tuple[str, str]]:
    """(dotted name, docstring) of a module, class or function and of what is defined inside."""
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        if not isinstance(node, ast.Module):
            scope = f"{scope}.{node.name}"
        docstring = ast.get_docstring(node)
        if docstring:
            yield scope, docstring
    body = getattr(node, "body", None)  # of `if`, `try` and `with` too; an expression for a lambda
    if isinstance(body, list):
        for child in body:
            yield from _docstrings(child, scope)


def _is_prose(text: str) -> bool:
    if len(text) < _MIN_CHARACTERS:
        return False
    # A lone surrogate ("\ud800" in a docstring) cannot be written as UTF-8.
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters >= _MIN_SHARE_OF_LETTERS * len(text)


def _without_copies(documents: Iterable[Document]) -> Iterator[Document]:
    seen = set()
    for document in documents:
        key = " ".join(fingerprint(document.text).split()[:_WORDS_OF_A_COPY])
        if key not in seen:
            seen.add(key)
            yield document
