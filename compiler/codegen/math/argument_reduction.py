"""x = k pi/2 + r, |r| <= pi/4 (a little more at the edges), for x of any size.

Ordinary arguments take two or three multiples of parts of pi/2 (W. J. Cody and W. Waite,
"Software Manual for the Elementary Functions", 1980). Larger ones are multiplied by the bits of
2/pi that matter (M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric functions",
SIGNUM Newsletter 18 (1983); J.-M. Muller, "Elementary Functions", section 9.4), one lane at a
time in an internal function, which is only called when some lane needs it.
"""

from __future__ import annotations

import math
from itertools import pairwise

from ..assembly import Function, Module
from .constants import HALF_PI, HALF_PI_PARTS, TWO_OVER_PI
from .double_word import (
    DoubleWord,
    constant_pair,
    exact_residual,
    fast_two_sum,
    two_product,
)
from .mask import any_lane
from .scaling import nearest_multiple
from .vec import Vec, all_of, choose

# Below these k * HALF_PI_PARTS leaves r with more than 27 and 60 good bits.
LIMIT = {"float": 2.0**17, "double": 2.0**40}
REDUCE_LARGE = "tapeless_reduce_large"

# 2/pi to 1280 bits after the point (checked by the tests against mpmath).
TWO_OVER_PI_BITS = int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424DD2E0"
    "06492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484E99C7026B45F7E413991D639835339F4"
    "9C845F8BBDF9283B1FF897FFDE05980FEF2F118B5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D"
    "7527BAC7EBE5F17B3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B6BABF0CFBC209AF4361D",
    16,
)
WORDS = 20


def reduce(x: Vec) -> tuple[DoubleWord, Vec]:
    """(r as a pair, k as an integer vector of which the low two bits count); NaN for infinities.

    What is left of the first step is a multiple of a unit that the second product has no digits
    above, so that their difference is found as for operands in order.
    """
    one, two, three = HALF_PI_PARTS[x.x.element]
    k, quadrant = nearest_multiple(x, TWO_OVER_PI[x.x.element])
    first = exact_residual(x, k, x.like(one))
    product = two_product(k, x.like(two))
    second = fast_two_sum(first, -product.hi)
    low = (-k).fma(three, second.lo - product.lo)
    return _with_large(x, DoubleWord(second.hi, low), quadrant)


def _with_large(x: Vec, r: DoubleWord, quadrant: Vec) -> tuple[DoubleWord, Vec]:
    """The given reduction, redone by ``REDUCE_LARGE`` in lanes at or above the limit."""
    b, limit = x.b, LIMIT[x.x.element]
    magnitude = x.abs()
    some = any_lane(all_of(magnitude.ge(limit), magnitude.lt(math.inf)))
    before, large, after = b.current, b.block("large"), b.block("reduced")
    b.cond_br(some, large, after)
    b.place(large)
    new_r, new_quadrant = _reduced_again(x, r, quadrant, limit)
    b.br(after)
    b.place(after)
    merged = [
        Vec(b, b.phi(old.x.type, [(old.x, before), (new.x, large)]).value)
        for old, new in ((r.hi, new_r.hi), (r.lo, new_r.lo), (quadrant, new_quadrant))
    ]
    return DoubleWord(merged[0], merged[1]), merged[2]


def _reduced_again(x: Vec, r: DoubleWord, quadrant: Vec, limit: float) -> tuple[DoubleWord, Vec]:
    """The call of ``REDUCE_LARGE``, which works on arrays of float64."""
    b, lanes = x.b, x.x.lanes
    _define_reduce_large(b.module)
    is_single = x.x.element == "float"
    if is_single:
        operands = [v.cast("fpext", "double") for v in (x, r.hi, r.lo)]
        operands.append(quadrant.cast("zext", "i64"))
    else:
        operands = [x, r.hi, r.lo, quadrant]
    buffers = [b.alloca(operand.x.element, lanes, 8) for operand in operands]
    for operand, buffer in zip(operands, buffers, strict=True):
        b.store(operand.x, buffer, 8)
    arguments = (*buffers, b.const("i64", lanes), b.const("double", limit))
    b.call(REDUCE_LARGE, "void", arguments)
    high, low, k = (
        Vec(b, b.load(operand.x.type, buffer, 8))
        for operand, buffer in zip(operands[1:], buffers[1:], strict=True)
    )
    if not is_single:
        return DoubleWord(high, low), k
    rounded = high.cast("fptrunc", "float")
    rest = (high - rounded.cast("fpext", "double")) + low
    return DoubleWord(rounded, rest.cast("fptrunc", "float")), k.cast("trunc", "i32")


def _define_reduce_large(module: Module) -> None:
    """Add the routine that reduces the large lanes of an array in place, once per module.

    It is rarely run, so LLVM is told not to optimize it, which takes a quarter of the time.
    """
    if module.has_function(REDUCE_LARGE):
        return
    params = [(("ptr", name, "noalias")) for name in ("x", "high", "low", "quadrant")]
    b = module.function(
        REDUCE_LARGE,
        "void",
        [*params, ("i64", "lanes", ""), ("double", "limit", "")],
        linkage="internal",
        attributes="noinline optnone cold nounwind",
    )
    x, high, low, quadrant, lanes, limit = b.params
    loop, large, following, done = (b.block(n) for n in ("loop", "large", "following", "done"))
    b.br(loop)
    b.place(loop)
    index = b.phi("i64", [(b.const("i64", 0), "entry")])
    value = Vec(b, b.load("double", b.gep(x, "double", index.value), 8))
    magnitude = value.abs()
    wanted = all_of(magnitude.ge(Vec(b, limit)), magnitude.lt(math.inf))
    b.cond_br(wanted.x, large, following)
    b.place(large)
    r, k = _payne_hanek(b, value)
    for result, array in ((r.hi, high), (r.lo, low), (k, quadrant)):
        b.store(result.x, b.gep(array, result.x.type, index.value), 8)
    b.br(following)
    b.place(following)
    after = b.add(index.value, b.const("i64", 1))
    index.add(after, following)
    b.cond_br(b.icmp("ult", after, lanes), loop, done)
    b.place(done)
    b.ret()


def _payne_hanek(b: Function, x: Vec) -> tuple[DoubleWord, Vec]:
    """The reduction of one float64 of magnitude 1 or more.

    |x| = M 2**e with a 53-bit integer M. Bits of 2/pi worth 2**-i with i <= e - 2 contribute
    multiples of 4 to x * 2/pi and are left out; the next 192 bits W give x * 2/pi mod 4 as the low
    192 bits of M * W, over 2**190. Its error is below 2**-137, while the fraction of a float64 is
    never below 2**-62 (Muller, section 9.3).
    """
    bits = x.to_bits()
    exponent = (bits.logical_shift(52) & 0x7FF) - 1075
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    first, second, third = _product(mantissa, _window(b, exponent + 62))
    k = (first + (1 << 61)).logical_shift(62)
    fraction = first - (k << first.like(62))  # signed, over 2**62; its low words follow
    sign = fraction >> fraction.like(63)
    # The one's complement is one unit of the last place short of the negative: nothing here.
    words = (fraction ^ sign, second ^ sign, third ^ sign)
    r = _normalized(words).times(constant_pair(x, *HALF_PI["double"]))
    flip = (sign ^ bits).lt(0)
    r = DoubleWord(choose(flip, -r.hi, r.hi), choose(flip, -r.lo, r.lo))
    return r, choose(bits.lt(0), -k, k)


def _window(b: Function, start: Vec) -> list[Vec]:
    """192 bits of 2/pi (behind 64 zero bits) from bit ``start`` on, highest word first."""
    words = [0] + [(TWO_OVER_PI_BITS >> (64 * (WORDS - 1 - i))) & (2**64 - 1) for i in range(WORDS)]
    table = b.module.constant_table("two_over_pi", "i64", words)
    here = b.gep(table, "i64", start.logical_shift(6).x)
    loaded = [Vec(b, b.load("i64", b.gep(here, "i64", b.const("i64", i)), 8)) for i in range(4)]
    offset = start & 63
    return [high.intrinsic("llvm.fshl", low, offset) for high, low in pairwise(loaded)]


def _product(factor: Vec, words: list[Vec]) -> tuple[Vec, Vec, Vec]:
    """The low 192 bits of factor times a three-word number, highest word first."""
    wide = factor.cast("zext", "i128")
    third = wide * words[2].cast("zext", "i128")
    second = wide * words[1].cast("zext", "i128") + third.logical_shift(64)
    first = factor * words[0] + second.logical_shift(64).cast("trunc", "i64")
    return first, second.cast("trunc", "i64"), third.cast("trunc", "i64")


def _normalized(words: tuple[Vec, Vec, Vec]) -> DoubleWord:
    """A three-word fraction over 2**62 (of the first word) as a pair, leading zeros shifted out."""
    first, second, third = words
    b, short = first.b, first.eq(0)
    first, second, third = (
        choose(short, second, first),
        choose(short, third, second),
        choose(short, 0, third),
    )
    zeros = Vec(b, b.intrinsic("llvm.ctlz", "i64", (first.x, b.const("i1", False)), ("i64",)))
    top = first.intrinsic("llvm.fshl", second, zeros)
    following = second.intrinsic("llvm.fshl", third, zeros)
    high = top.logical_shift(11).cast("uitofp", "double")
    low = ((top & 0x7FF) << top.like(42)) | following.logical_shift(22)
    exponent = choose(short, zeros + 64, zeros)
    unit = ((1023 - 51 - exponent) << top.like(52)).as_float("double")
    return fast_two_sum(high * unit, low.cast("uitofp", "double") * (unit * 2.0**-53))
