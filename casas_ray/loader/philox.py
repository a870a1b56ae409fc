"""Philox on a device: the numbers of `streams`, bit for bit, without the host.

A GPU that waits for the host to draw a byte for each entry that dropout may zero is a GPU that
waits. Philox4x64-10 (Salmon et al., SC 2011) is written here in torch's integers, which multiply
and add modulo 2**64; `torch.compile` makes one kernel of it.
"""

# N counters, U keys; `value` and `x` may have any shape

import functools
from collections.abc import Callable

import torch
from torch import Tensor

# Philox's own constants: with a digit changed, a GPU's dropout is another than a CPU's.
_ROUNDS = 10
_FIRST, _SECOND = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_FIRST_STEP, _SECOND_STEP = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_LOW = 0xFFFFFFFF


def _signed(value: int) -> int:
    """The int64 with the bits of an unsigned 64-bit number."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _upper(value: Tensor) -> Tensor:
    # torch shifts with the sign: without the mask, it would fill the upper half.
    return (value >> 32) & _LOW


def _high_of_product(x: Tensor, constant: int) -> Tensor:
    """The upper 64 bits of an unsigned product, from four products of 32-bit halves."""
    low, high = constant & _LOW, constant >> 32
    x_low, x_high = x & _LOW, _upper(x)
    # Halves are added one by one: the sum of two whole products would lose its carry.
    crossed, other = x_low * high, x_high * low
    carried = _upper(x_low * low) + (crossed & _LOW) + (other & _LOW)
    return x_high * high + _upper(crossed) + _upper(other) + _upper(carried)


def blocks(counter_N: Tensor, keys_U2: Tensor) -> Tensor:
    """The words of N counters under U keys, U x N x 4, all int64; numpy's `Philox` gives the same
    for the counter one lower, since it counts before it streams."""
    c0, c1, c2, c3 = counter_N, *(torch.zeros_like(counter_N) for _ in range(3))
    k0, k1 = keys_U2[:, 0, None], keys_U2[:, 1, None]
    for _ in range(_ROUNDS):
        high0, low0 = _high_of_product(c0, _FIRST), c0 * _signed(_FIRST)
        high2, low2 = _high_of_product(c2, _SECOND), c2 * _signed(_SECOND)
        c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _signed(_FIRST_STEP), k1 + _signed(_SECOND_STEP)
    return torch.stack([c0, c1, c2, c3], dim=-1)


@functools.cache
def compiled() -> Callable[[Tensor, Tensor], Tensor]:
    """`blocks` as one kernel; made at first use."""
    # Dynamic: the longest window differs from batch to batch, and each would compile anew.
    return torch.compile(blocks, dynamic=True)
