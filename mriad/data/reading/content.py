"""The bytes of a file, unpacked and checked to their end."""

from __future__ import annotations

import zlib
from pathlib import Path

from mriad.errors import MriadError, ReadError

MOST_BYTES = 8 * 2**30  # a 7 tesla scan of 0.4 mm in float32 has a quarter of it

_PACKED = b"\x1f\x8b"  # gzip
_GZIP = 31  # zlib's window bits for gzip, with which it compares length and checksum at the end


def content(file: Path) -> bytes:
    """What a file holds, unpacked where it is gzip, whatever it is called.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it is larger than ``MOST_BYTES``, or a gzip that is cut off or whose checksum is wrong.
    """
    data = read_bytes(file)
    return unpacked(file, data) if data.startswith(_PACKED) else data


def read_bytes(file: Path) -> bytes:
    """What a file holds.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it is larger than ``MOST_BYTES``.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _too_large(file)
        return file.read_bytes()
    except (OSError, MemoryError) as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: OSError | MemoryError) -> ReadError:
    """The error for a file that cannot be read now: it is missing or locked, its drive is away, memory is short."""
    if isinstance(error, FileNotFoundError):
        return ReadError(f"{file} does not exist.")
    if isinstance(error, MemoryError):
        return ReadError(f"{file} cannot be read now (not enough memory); free some, then start again.")
    return ReadError(f"{file} cannot be read now ({error.strerror or error}); see that it can be, then start again.")


def unpacked(file: Path, data: bytes) -> bytes:
    """The content of gzip members that follow one another."""
    parts, size = [], 0
    while data.startswith(_PACKED):
        unpacker = zlib.decompressobj(_GZIP)
        try:
            part = unpacker.decompress(data, MOST_BYTES - size + 1)
        except zlib.error as error:
            reason = "its checksum is wrong" if "incorrect" in str(error) else "its compressed bytes make no sense"
            raise _damaged(file, reason) from None
        except MemoryError as error:
            raise unreadable(file, error) from error
        size += len(part)
        if size > MOST_BYTES:
            raise _too_large(file)
        if not unpacker.eof:
            raise _damaged(file, "it ends early")
        parts.append(part)
        data = unpacker.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _damaged(file: Path, reason: str) -> MriadError:
    return MriadError(f"{file} is a damaged gzip ({reason}); copy or download it again, or leave it out.")


def _too_large(file: Path) -> MriadError:
    return MriadError(f"{file} holds more than {MOST_BYTES // 2**30} GiB, which is no single scan; split it first.")
