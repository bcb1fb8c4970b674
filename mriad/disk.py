"""Files that are there as a whole or not at all, and folders that nobody else looks into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mriad.errors import MriadError, no_room


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """A path beside ``file`` to write to; what is there takes the place of ``file`` at the end, or goes if that fails.

    A rename within a folder is one step: whoever reads ``file`` finds what it held before, or all of what it holds now.

    Raises:
        MriadError: if the disk is full.
    """
    part = file.with_name(f".{os.getpid()}.part")  # as short as can be: the name of the file may be as long as allowed
    try:
        yield part
        os.replace(part, file)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if why := no_room(error):
            raise MriadError(
                f"{file} cannot be written ({why}); make room there and go on, or start again: "
                "what it held before is untouched."
            ) from error
        raise


def make_private(folder: Path, *, below: Path) -> None:
    """Make a folder, and those between it and ``below``, which nobody else can look into.

    Raises:
        OSError: if one cannot be made.
    """
    below.mkdir(parents=True, exist_ok=True)
    for made in [*reversed(folder.relative_to(below).parents)][1:]:
        (below / made).mkdir(exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
