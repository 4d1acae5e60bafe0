"""Powers of two: exponents taken apart and put together, gradual underflow included."""

from __future__ import annotations

from ..assembly import Module
from .vec import Vec, choose


def power_of_two(k: Vec, element_like: Vec) -> Vec:
    """2**k for integer lanes with 2**k normal."""
    form = element_like.format
    return ((k + form.bias) << k.like(form.mantissa_bits)).as_float(form.element)


def scale_factors(k: Vec, element_like: Vec) -> tuple[Vec, Vec]:
    """Two powers of two whose product is 2**k, for |k| up to twice the exponent range."""
    form = element_like.format
    shift = k.like(form.mantissa_bits)
    biased = k + 2 * form.bias
    half = biased.logical_shift(1)
    first = (half << shift).as_float(form.element)
    return first, ((biased - half) << shift).as_float(form.element)


def has_scaling(module: Module) -> bool:
    """Whether ``llvm.ldexp`` is one instruction (vscalef) at every width, not a library call."""
    return "+avx512vl" in module.features.split(",")


def scale(x: Vec, k: Vec) -> Vec:
    """x * 2**k, rounded once; 2**k itself may be out of range. Over- and underflow as IEEE 754."""
    if has_scaling(x.b.module):
        count = (k if x.format.bits == 32 else k.cast("trunc", "i32")).x
        kinds = (x.x.type, count.type)
        return Vec(x.b, x.b.intrinsic("llvm.ldexp", x.x.type, (x.x, count), kinds))
    first, second = scale_factors(k, x)
    return x * first * second


def split_exponent(x: Vec) -> tuple[Vec, Vec]:
    """(m, k) with x = m * 2**k, sqrt(1/2) <= m < sqrt(2), for positive finite x, denormals too.

    k comes as an integer. Any bits come out for other x.
    """
    form = x.format
    tiny = x.lt(form.least_normal)
    raised = choose(tiny, x * 2.0**form.precision, x)
    bits = raised.to_bits()
    root_half = 0x3F3504F3 if form.bits == 32 else 0x3FE6A09E667F3BCD
    shift = bits.like(form.mantissa_bits)
    k = (bits - root_half) >> shift
    m = (bits - (k << shift)).as_float(form.element)
    return m, choose(tiny, k - form.precision, k)


def exponent_field(v: Vec) -> tuple[Vec, Vec, Vec]:
    """(normal, shift, e) for positive finite v: normal = v * 2**shift, with e + shift its field.

    The shift is 0 unless v is subnormal.
    """
    form = v.format
    tiny = v.lt(form.least_normal)
    normal = choose(tiny, v * 2.0**form.precision, v)
    field = normal.to_bits().logical_shift(form.mantissa_bits)
    shift = choose(tiny, form.precision, field.like(0))
    return normal, shift, field - shift


def integer_to_float(k: Vec, element_like: Vec) -> Vec:
    """A small integer as a float of the same width, without a conversion instruction."""
    form = element_like.format
    return (k + form.magic_bits).as_float(form.element) - form.magic


def round_to_integer(x: Vec) -> tuple[Vec, Vec]:
    """(float, integer) nearest to x, ties to even, for |x| < 2**(mantissa_bits - 2)."""
    form = x.format
    shifted = x + form.magic
    return shifted - form.magic, shifted.to_bits() - form.magic_bits


def nearest_multiple(x: Vec, inverse: float) -> tuple[Vec, Vec]:
    """(float, integer) nearest to x * inverse, for products below 2**(mantissa_bits - 2)."""
    form = x.format
    shifted = x.fma(inverse, form.magic)
    return shifted - form.magic, shifted.to_bits() - form.magic_bits
