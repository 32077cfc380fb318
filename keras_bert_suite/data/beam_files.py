"""Files where Beam finds them: on this machine or in any store that it knows (gs://, s3://)."""

from __future__ import annotations

import os
from typing import IO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from keras_bert_suite.data.documents import expand_files


def matched(pattern: str) -> list[tuple[str, int]]:
    """Gives (path, bytes) of the files of globs, separated by commas and sorted by path.

    Raises:
      ValueError: a pattern matches no file.
    """
    if "://" not in pattern:
        return [(path, os.path.getsize(path)) for path in expand_files(pattern, directories=True)]
    sizes: dict[str, int] = {}
    for part in pattern.split(","):
        (result,) = FileSystems.match([part.strip()])
        if not result.metadata_list:
            raise ValueError(
                f"No file matches the pattern. Received: {part.strip()!r}. Remedy: check the path; "
                "in a store give files by a glob, not a directory."
            )
        sizes.update((found.path, found.size_in_bytes) for found in result.metadata_list)
    return sorted(sizes.items())


def open_file(path: str) -> IO[bytes]:
    """Opens a file for reading its bytes as they are stored."""
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def write(path: str, data: bytes) -> None:
    """Writes a file, over what is there."""
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
        stream.write(data)


def names_in(directory: str) -> list[str]:
    """Gives the names in a directory, [] if there is none.

    Raises:
      ValueError: it is a file.
    """
    if "://" not in directory:
        if os.path.isfile(directory):
            raise ValueError(f"output_dir must be a directory. Received: the file {directory}.")
        return sorted(os.listdir(directory)) if os.path.exists(directory) else []
    (result,) = FileSystems.match([FileSystems.join(directory, "*")])
    return sorted(FileSystems.split(found.path)[1] for found in result.metadata_list)


def make_directory(path: str) -> None:
    """Makes a directory where there is none."""
    if not FileSystems.exists(path):
        FileSystems.mkdirs(path)


def remove(paths: list[str]) -> None:
    """Removes those of the files and directories that are there."""
    present = [path for path in paths if FileSystems.exists(path)]
    if present:
        FileSystems.delete(present)
