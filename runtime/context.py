"""The memory that a native entry's code refers to: a block of words, and the objects behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir import abi
from ..ir.entry import Output, Region, Shape, Word
from ..ir.types import TensorType
from .flatten import LAYOUT
from .pointers import Array, address

_NO_NUMBER = -1


class Context:
    """A context under construction: `add` its words, then `block()` is the memory.

    `kept` are the objects whose addresses the words are; whoever keeps the block keeps them.
    `outputs` are the words that come to own references while the entry is used.
    """

    def __init__(self) -> None:
        self._words: list[int] = [0] * Word.FIRST
        self._extents: list[int] = []  # of all arrays, behind the words: their number is no matter
        self._extents_at: list[tuple[int, int]] = []  # words that point there, and to which
        self.kept: list[Any] = []
        self.outputs: list[int] = []

    def add(self, words: Sequence[int]) -> int:
        """Append words; returns the place of the first."""
        place = len(self._words)
        self._words += words
        return place

    def object(self, value: Any) -> int:
        """Append the address of an object, which is kept alive."""
        return self.objects([value])

    def objects(self, values: Sequence[Any]) -> int:
        """Append the addresses of several objects."""
        self.kept += values
        return self.add([id(value) for value in values])

    def shape_of(self, array: Array) -> int:
        """Append the `Shape` of arrays that have the signature of this one."""
        flags = array.flags.num & LAYOUT
        return self._shape(array.dtype, array.shape, array.dtype.num, LAYOUT, flags)

    def _shape(
        self, dtype: np.dtype[Any], extents: Sequence[int], number: int, mask: int, flags: int
    ) -> int:
        self.kept.append(dtype)
        words = [0] * Shape.WORDS
        words[Shape.DESCR], words[Shape.NUMBER] = id(dtype), number
        words[Shape.MASK], words[Shape.FLAGS] = mask, flags
        words[Shape.RANK] = len(extents)
        place = self.add(words)
        self._extents_at.append((place + Shape.EXTENTS, len(self._extents)))
        self._extents += extents
        return place

    def output(self, type: TensorType) -> int:
        """Append the `Output` for new arrays of a type."""
        place = self.add([0] * Output.SHAPE)
        flags = LAYOUT | abi.OWNS_DATA
        self._shape(type.dtype, type.shape, _NO_NUMBER, flags | abi.WRITEBACK, flags)
        self.outputs += [place + Output.FIRST, place + Output.SECOND]
        return place

    def region(self, buffer: int, nbytes: int, written: bool) -> int:
        """Append a `Region`."""
        words = [0] * Region.WORDS
        words[Region.BUFFER], words[Region.BYTES] = buffer, nbytes
        words[Region.WRITTEN] = int(written)
        return self.add(words)

    def block(self) -> Array:
        """The memory, in which the leading words are still to be filled in."""
        block = np.array(self._words + self._extents, np.int64)
        start = address(block) + abi.WORD * len(self._words)
        for word, place in self._extents_at:
            block[word] = start + abi.WORD * place
        return block
