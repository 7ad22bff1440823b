"""A small reader of GGUF files (version 2 and 3): metadata, tensor descriptions, and the block formats that we meet.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from stillhouse.errors import ModelError

SCALARS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
STRING, ARRAY = 8, 9

Blocks = UInt8[np.ndarray, "blocks bytes"]
Values = Float32[np.ndarray, "blocks values"]


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies; `shape` is row-major (the file's own order, reversed), `offset` in bytes of the file."""

    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class GGUF:
    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]
    data: UInt8[np.ndarray, " bytes"]

    def tensor(self, name: str) -> Float32[np.ndarray, "..."]:
        """The values of one tensor as float32, exactly as the block format defines them."""
        info = self.tensors[name]
        if info.type not in FORMATS:
            raise ModelError(f"GGUF tensor '{name}' has type {info.type}; only {sorted(FORMATS)} are read here.")
        per_block, size, decode = FORMATS[info.type]
        blocks = math.prod(info.shape) // per_block
        raw = self.data[info.offset : info.offset + blocks * size]
        if len(raw) < blocks * size:
            raise ModelError(f"the GGUF file ends within tensor '{name}'; fetch it again.")
        return decode(raw.reshape(blocks, size)).reshape(info.shape)


class Cursor:
    """A position in the bytes of the header; every read moves it."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def number(self, code: str) -> Any:
        value = np.frombuffer(self.data, code, 1, self.at)[0].item()
        self.at += np.dtype(code).itemsize
        return value

    def text(self) -> str:
        (size,) = struct.unpack_from("<Q", self.data, self.at)
        start = self.at + 8
        self.at = start + size
        return str(self.data[start : self.at], "utf-8")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.number(SCALARS[kind])
        inner, size = self.number("<u4"), self.number("<u8")
        if inner not in SCALARS:
            return [self.value(inner) for _ in range(size)]
        values = np.frombuffer(self.data, SCALARS[inner], size, self.at)
        self.at += values.nbytes
        return values.tolist()


def read(path: Path) -> GGUF:
    """Read the header of a GGUF file; tensor data stays on disk until it is asked for.

    Raises:
        ModelError: the file is not GGUF version 2 or 3, or ends too early.
    """
    data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
    try:
        return parse(data)
    except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a complete GGUF file ({error}); fetch it again.") from error


def parse(data: UInt8[np.ndarray, " bytes"]) -> GGUF:
    cursor = Cursor(data.data)
    magic, version = bytes(data[:4]), struct.unpack_from("<4xI", cursor.data)[0]
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError(f"it begins with {magic!r}, version {version}")
    cursor.at = 8
    tensor_count, key_count = cursor.number("<u8"), cursor.number("<u8")
    metadata = {cursor.text(): cursor.value(cursor.number("<u4")) for _ in range(key_count)}
    described = {cursor.text(): tensor_info(cursor) for _ in range(tensor_count)}
    alignment = metadata.get("general.alignment", 32)
    start = -(-cursor.at // alignment) * alignment
    tensors = {name: TensorInfo(info.shape, info.type, info.offset + start) for name, info in described.items()}
    return GGUF(metadata, tensors, data)


def tensor_info(cursor: Cursor) -> TensorInfo:
    """One tensor description; its offset counts from the start of the tensor data."""
    shape = [cursor.number("<u8") for _ in range(cursor.number("<u4"))]
    return TensorInfo(tuple(reversed(shape)), cursor.number("<u4"), cursor.number("<u8"))


def half(blocks: Blocks, start: int) -> Values:
    """The float16 at bytes `start`, `start + 1` of every block, as a float32 column."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view("<f2").astype(np.float32)


def nibbles(packed: Blocks) -> Values:
    """Sixteen bytes hold 32 values: the low halves first, then the high halves."""
    values = np.empty((len(packed), 32), np.float32)
    values[:, :16] = packed & 15
    values[:, 16:] = packed >> 4
    return values


def q4_0(blocks: Blocks) -> Values:
    """Each value is d (n - 8), with scale d and 4-bit n."""
    values = nibbles(blocks[:, 2:])
    values -= 8
    values *= half(blocks, 0)
    return values


def q4_1(blocks: Blocks) -> Values:
    """Each value is d n + m, with scale d, minimum m and 4-bit n."""
    values = nibbles(blocks[:, 4:])
    values *= half(blocks, 0)
    values += half(blocks, 2)
    return values


def q8_0(blocks: Blocks) -> Values:
    """Each value is d n, with scale d and signed 8-bit n."""
    values = blocks[:, 2:].view(np.int8).astype(np.float32)
    values *= half(blocks, 0)
    return values


def bf16(blocks: Blocks) -> Values:
    """The upper half of a float32."""
    return (np.ascontiguousarray(blocks).view("<u2").astype(np.uint32) << 16).view(np.float32)


FORMATS: dict[int, tuple[int, int, Callable[[Blocks], Values]]] = {
    0: (1, 4, lambda blocks: np.ascontiguousarray(blocks).view("<f4").copy()),
    1: (1, 2, lambda blocks: half(blocks, 0)),
    2: (32, 18, q4_0),
    3: (32, 20, q4_1),
    8: (32, 34, q8_0),
    30: (1, 2, bf16),
}
"""GGUF tensor type -> (values in a block, bytes of a block, decoder)."""
