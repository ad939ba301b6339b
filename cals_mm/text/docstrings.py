"""Docstrings of Python's standard library by subject: real text that needs no download."""

from __future__ import annotations

import ast
import hashlib
import sysconfig
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from cals_mm.datasets.split_names import Split

from .dataset import TextDataset
from .encoding import Corpus
from .vocabulary import tokenise

__all__ = ["SUBJECTS", "StdlibDocstrings"]

MIN_WORDS = 5
"""Docstrings with fewer words are left out."""
SHARES = {"test": 0.25, "val": 0.15}
"""Shares of all docstrings; the rest is the train split."""

# Grouped like the chapters of Python's library reference.
_MODULES = {
    "text": ("_markupbase string re difflib textwrap codecs encodings stringprep"
             " locale gettext pprint reprlib"),
    "data types": ("datetime _pydatetime _strptime zoneinfo calendar collections _collections_abc"
                   " heapq bisect weakref _weakrefset types copy enum graphlib functools operator"
                   " contextlib abc _py_abc dataclasses typing"),
    "numbers": "numbers fractions decimal _pydecimal random statistics colorsys",
    "files": ("pathlib posixpath ntpath genericpath fileinput stat filecmp tempfile glob fnmatch"
              " linecache shutil os io _pyio gzip bz2 lzma zipfile tarfile _compression"),
    "formats": ("csv configparser tomllib netrc plistlib json base64 quopri mimetypes html xml"
                " pickle pickletools copyreg shelve dbm sqlite3"),
    "mail": "email mailbox smtplib poplib imaplib",
    "internet": ("urllib http ftplib xmlrpc ipaddress socketserver wsgiref webbrowser socket ssl"
                 " uuid"),
    "concurrency": ("asyncio threading multiprocessing concurrent subprocess sched queue selectors"
                    " signal _threading_local"),
    "programs": ("argparse optparse getopt logging getpass curses platform ctypes cmd shlex code"
                 " codeop readline"),
    "testing": ("unittest doctest pdb bdb trace tracemalloc cProfile profile pstats timeit"
                " warnings traceback pydoc"),
    "language": ("ast symtable token tokenize dis opcode inspect importlib zipimport pkgutil"
                 " modulefinder runpy py_compile compileall pyclbr tabnanny site sysconfig"
                 " zipapp venv"),
}  # fmt: skip
SUBJECTS = {subject: tuple(modules.split()) for subject, modules in _MODULES.items()}
"""Top-level modules and packages of each subject; the subjects are the classes."""


@DATASETS.register_module()
class StdlibDocstrings(TextDataset):
    """Docstrings of Python's standard library, to be classified by subject.

    The docstrings of modules, classes and functions are read from the source files of the running
    interpreter, and nothing is imported or copied into the project. Equal docstrings are used once.
    The splits follow from a hash of the text, so they are the same for equal Python versions; other
    versions have other docstrings. The texts are under Python's licence (PSF).

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        **kwargs: Arguments of :class:`TextDataset`; encoded texts are kept in
            ``work_dirs/encoded_texts`` instead of the interpreter's folder.

    Raises:
        ValueError: If the interpreter has no source files.
    """

    DATA_NAME = "docstrings of the standard library"
    METAINFO = {"classes": tuple(SUBJECTS)}

    def __init__(
        self, split: Split, cache_dir: str | None = "work_dirs/encoded_texts", **kwargs: Any
    ) -> None:
        super().__init__(split, cache_dir=cache_dir, **kwargs)

    def content(self) -> dict[str, object]:
        """Hash the source files."""
        return {"sources": _hash_of_sources(), "min_words": MIN_WORDS, "shares": SHARES}

    def read(self) -> Corpus:
        """Read all docstrings, in the order of their hash."""
        found: dict[str, tuple[int, str, str]] = {}
        for label, name, text in _docstrings():
            digest = hashlib.sha256(text.encode()).hexdigest()
            found.setdefault(digest, (label, name, text))
        labels, names, texts = zip(*(found[key] for key in sorted(found)), strict=True)
        bounds = np.cumsum([round(share * len(texts)) for share in SHARES.values()])
        splits = [
            next((s for s, end in zip(SHARES, bounds, strict=True) if i < end), "train")
            for i in range(len(texts))
        ]
        return Corpus(list(texts), np.array(labels), list(names), splits)


def _files() -> Iterator[tuple[int, Path]]:
    """Yield source files with the index of their subject, in the order of their names."""
    root = Path(sysconfig.get_path("stdlib"))
    for label, modules in enumerate(SUBJECTS.values()):
        for module in sorted(modules):
            single = root / f"{module}.py"
            files = [single] if single.is_file() else sorted((root / module).rglob("*.py"))
            for file in files:
                if "test" not in file.parts and "tests" not in file.parts:
                    yield label, file


@lru_cache(maxsize=1)
def _hash_of_sources() -> str:
    digest = hashlib.sha256()
    for label, file in _files():
        digest.update(f"{label} {file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _docstrings() -> Iterator[tuple[int, str, str]]:
    """Yield subject, name and text of each docstring that is long enough."""
    root = Path(sysconfig.get_path("stdlib"))
    empty = True
    for label, file in _files():
        empty = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about Python's own sources
            tree = ast.parse(file.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                if len(tokenise(text)) >= MIN_WORDS:
                    line = getattr(node, "lineno", 1)
                    yield label, f"{file.relative_to(root).as_posix()}:{line}", text
    if empty:
        raise ValueError(
            f"no source files of the standard library in {root}: use a Python that has them"
        )
