"""Graphs that several tests of the text format, the verifier and the interpreter start from."""

from __future__ import annotations

import numpy as np

from tapeless.ir.graph import BACKWARD, Graph, GraphBuilder
from tapeless.ir.location import Location
from tapeless.ir.ops import OPS
from tapeless.ir.types import FLOAT32, FLOAT64, TensorType

STEP = """\
graph step(w: f32[4,2], x: f32[3,4]) {
  h: f32[3,2] = dot[batch=((),()), contract=((1,),(0,))] x w  # model.py:7
  zero: f32[] = constant[value=f32[](0.0)]
  zeros: f32[3,2] = broadcast[shape=(3,2), axes=()] zero
  relu: f32[3,2] = max h zeros                          # model.py:8
  best: i64[3] = argmax[axis=1] relu
  loss: f32[] = sum[axes=(0,1)] relu                    # backward
  return loss, best
}
"""
"""A small graph exactly as it is printed."""

NESTED = """\
graph outer(p: f64[3], seed: f64[]) {
  value: f64[], slope: f64[3] = vjp[graph=graph square(x: f64[3]) {
    y: f64[3] = mul x x                                 # model.py:2
    total: f64[] = sum[axes=(0,)] y
    return total
  }, wrt=(0,), seeded=(0,)] p seed                      # model.py:9
  tripled: f64[3] = fused[graph=graph body(x: f64[3]) {
    y: f64[3] = add x x
    z: f64[3] = add y x
    return z
  }, kind="map"] slope
  return value, tripled
}
"""
"""A graph with sub-graphs, exactly as it is printed."""


def chain(length: int) -> Graph:
    """sin(sin(… x …)), `length` deep."""
    builder = GraphBuilder("chain")
    value = builder.input(TensorType(FLOAT64, (3,)), "x")
    for number in range(length):
        phase = BACKWARD if number % 2 else "forward"
        loc = Location("model.py", number + 1)
        (value,) = builder.emit(OPS["sin"], [value], loc=loc, phase=phase)
    return builder.build([value])


def of_constant(value: np.ndarray | np.generic) -> Graph:  # type: ignore[type-arg]
    """A graph that gives one constant."""
    builder = GraphBuilder("literal")
    return builder.build(builder.emit(OPS["constant"], [], {"value": value}))


def named(*names: str) -> Graph:
    """A graph of inputs with these name hints and an unnamed negation of the first."""
    builder = GraphBuilder("names")
    inputs = [builder.input(TensorType(FLOAT32), name) for name in names]
    return builder.build([*inputs, *builder.emit(OPS["neg"], inputs[:1])])
