"""Write files and folders atomically.

Content is first written to a hidden file ``.partial-*`` in the same folder, which is renamed when
it is complete. Readers always find the old or the new content, never a part. If writing fails, the
hidden file is removed; only a killed process leaves it behind, where it does no harm. Permissions
follow the umask, as for any new file. A link stays, and its file is written; devices and pipes are
written to directly, so that nothing takes the place of ``/dev/null``.
"""

from __future__ import annotations

import io
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["encoded", "new_folder", "probe", "write_bytes", "write_json", "write_text", "writing"]


@contextmanager
def writing(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that gets its name at the end of the block.

    Args:
        path: The file; missing parent folders are created.
        overwrite: Whether to replace an existing file. Otherwise it is an error, even if the file
            appears while the block runs.

    Yields:
        The stream to write to.

    Raises:
        ValueError: If the file exists and ``overwrite`` is False.
        OSError: If it cannot be written; the error names the file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with writing(f"{folder}/numbers.txt") as stream:
        ...         _ = stream.write(b"1 2 3")
        ...         before = os.path.exists(f"{folder}/numbers.txt")
        ...     before, os.listdir(folder)
        (False, ['numbers.txt'])
    """
    path = Path(path)
    if path.is_char_device() or path.is_fifo():
        with _opened(path, "wb", path) as stream:
            yield stream
        return
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    final = Path(os.path.realpath(path))
    partial = final.with_name(f".partial-{secrets.token_hex(8)}")
    try:
        with _named(path):
            final.parent.mkdir(parents=True, exist_ok=True)
        with _opened(partial, "xb", path) as stream:
            yield stream
        with _named(path):
            if overwrite:
                partial.replace(final)
            else:
                _name_if_free(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def _opened(file: Path, mode: str, path: Path) -> Iterator[IO[bytes]]:
    """Open a file whose errors name ``path``."""
    with _named(path):
        raw = _Raw(file, mode)
    try:
        with io.BufferedWriter(raw) as stream:
            yield stream
    except Exception as error:
        if raw.failure is None:
            raise
        with _named(path):  # torch.save raises a RuntimeError instead
            raise raw.failure from error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Make errors of the file system name the final file, not the hidden one."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


class _Raw(io.FileIO):
    """A file that remembers why it could not be written."""

    failure: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.failure = error
            raise


def write_bytes(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = True) -> None:
    """Write bytes with :func:`writing`."""
    with writing(path, overwrite=overwrite) as stream:
        stream.write(content)


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = True) -> None:
    """Write text, :func:`encoded`, with :func:`writing`; line ends stay unchanged."""
    write_bytes(path, encoded(text), overwrite=overwrite)


def encoded(text: str) -> bytes:
    r"""Encode text in UTF-8, and write lone surrogates as in a Python or JSON string.

    Python reads file names that are not UTF-8 with surrogates in place of bytes.

    Example:
        >>> encoded("caf\udce9")
        b'caf\\udce9'
    """
    return text.encode("utf-8", "backslashreplace")


def write_json(path: str | os.PathLike[str], values: Any, *, overwrite: bool = True) -> None:
    """Write JSON with :func:`writing`.

    NaN and infinite numbers, which JSON lacks, become null; arrays and tensors become lists; keys
    and unknown objects become strings.
    """
    text = json.dumps(_plain(values), indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_text(path, text, overwrite=overwrite)


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder that gets its name at the end of the block.

    Args:
        path: The folder; its parent must exist. An empty folder of that name is replaced.

    Yields:
        The folder to fill, under a temporary name.

    Raises:
        OSError: If it cannot be created, or ``path`` is not empty at the end.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(8)}")
    partial.mkdir()
    try:
        yield partial
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def probe(folder: str | os.PathLike[str]) -> None:
    """Check that a folder, created if necessary, can be written to.

    A file is written and removed, as permission bits tell nothing for root, on full disks and on
    read-only mounts.

    Raises:
        OSError: If folder or file cannot be created.
    """
    os.makedirs(folder, exist_ok=True)
    file = Path(folder, f".writable-{secrets.token_hex(8)}")
    file.touch(exist_ok=False)
    file.unlink()


def _name_if_free(partial: Path, path: Path) -> None:
    """Rename a file unless the new name is taken."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise _exists(path) from None
        partial.replace(path)


def _exists(path: Path) -> ValueError:
    return ValueError(f"{str(path)!r} exists and is not overwritten; name another file")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and torch, arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
