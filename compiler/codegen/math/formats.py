"""The two binary floating-point formats and the constants that follow from them (IEEE 754)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A binary format: LLVM's name for it, its integer of equal width, and its parameters."""

    element: str
    integer: str
    bits: int
    precision: int  # significant bits, the hidden one included
    bias: int

    @property
    def mantissa_bits(self) -> int:
        """Stored bits of the significand."""
        return self.precision - 1

    @property
    def sign_mask(self) -> int:
        """The sign bit alone."""
        return 1 << (self.bits - 1)

    @property
    def mantissa_mask(self) -> int:
        """The stored significand."""
        return (1 << self.mantissa_bits) - 1

    @property
    def least_normal(self) -> float:
        """The smallest positive normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def magic(self) -> float:
        """1.5 * 2**mantissa_bits: adding it rounds to an integer held in the low bits."""
        return 1.5 * 2.0**self.mantissa_bits

    @property
    def magic_bits(self) -> int:
        """The bit pattern of ``magic``."""
        return ((self.mantissa_bits + self.bias) << self.mantissa_bits) | (
            1 << (self.mantissa_bits - 1)
        )

    @property
    def split_factor(self) -> float:
        """2**ceil(precision/2) + 1, Dekker's (1971) constant for halving a significand."""
        return 2.0 ** ((self.precision + 1) // 2) + 1.0


FLOAT32 = Format("float", "i32", 32, 24, 127)
FLOAT64 = Format("double", "i64", 64, 53, 1023)
FORMATS = {"float": FLOAT32, "double": FLOAT64}
