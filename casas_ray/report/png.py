"""Small pictures of numbered colours, as PNG in an address that a page holds."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from casas_ray.report.palette import rgb

CLEAR = 255
"""The number of what is left clear, so that the page shows through."""


def png(index_HW: NDArray[np.uint8], colours: Sequence[str]) -> bytes:
    """Pixels H x W, each the number of its colour; beyond 254 colours they begin again."""
    height, width = index_HW.shape
    count = min(len(colours), CLEAR)
    table = [rgb(colour) for colour in colours[:count]] + [(0, 0, 0)] * (256 - count)
    shown = np.where(index_HW == CLEAR, CLEAR, index_HW % max(1, count)).astype(np.uint8)
    # A filter byte before each row: 0, as it stands.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), shown], axis=1)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(part for colour in table for part in colour)),
        (b"tRNS", bytes([255] * CLEAR + [0])),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def as_address(picture: bytes) -> str:
    """The picture as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def dots(
    xy_N2: NDArray[np.float64], number_N: NDArray[np.int64], *, size: int = 560
) -> NDArray[np.uint8]:
    """Points in the unit square as dots of three pixels on a clear ground, y upwards; of points in
    one place the last is seen."""
    index_HW = np.full((size, size), CLEAR, dtype=np.uint8)
    at_N2 = np.rint(xy_N2 * (size - 9)).astype(np.int64) + 4
    for dx, dy in ((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
        index_HW[size - 1 - at_N2[:, 1] + dy, at_N2[:, 0] + dx] = number_N % CLEAR
    return index_HW
