"""Odd integers of a few bits, packed without gaps (docs/reference/bundle-format.md)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BITS = (1, 2, 3, 4, 5, 6)
LEAST = 8
"""Fewer values are not packed: the number of bytes would not tell how many bits each has."""


def packed_length(count: int, bits: int) -> int:
    """Bytes that ``count`` values of ``bits`` bits take."""
    return -(-count * bits // 8)


def packed_bits(length: int, count: int) -> int | None:
    """How many bits each of ``count`` values has in ``length`` bytes; None where they cannot be packed so."""
    bits = 8 * length // count
    return bits if count >= LEAST and bits in BITS and length == packed_length(count, bits) else None


def unpack(packed: npt.NDArray[np.uint8], bits: int, count: int) -> npt.NDArray[np.int8]:
    """The first ``count`` of the odd integers in ``packed``, (bytes,), each of 1 to 7 bits."""
    eights = -(-count // 8)  # eight values take as many bytes as one has bits
    if len(packed) < eights * bits:
        packed = np.concatenate([packed, np.zeros(eights * bits - len(packed), np.uint8)])
    columns = packed.reshape(eights, bits)
    codes = np.empty((eights, 8), np.uint8)
    for index in range(8):
        byte, shift = divmod(index * bits, 8)
        code = columns[:, byte] >> shift
        if shift + bits > 8:
            code |= columns[:, byte + 1] << (8 - shift)
        codes[:, index] = code
    most = (1 << bits) - 1  # of the codes, and of the odd integers
    codes &= most
    codes <<= 1
    codes -= most  # modulo 256: two's complement
    return codes.reshape(-1)[:count].view(np.int8)
