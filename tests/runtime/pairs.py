"""A program on pairs of float64 as LLVM text, for tests of what loads and calls programs."""

from __future__ import annotations

from tapeless.ir.types import FLOAT64, TensorType

PAIR = TensorType(FLOAT64, (2,))

ADD = """
  %xp = load ptr, ptr %buffers
  %y_entry = getelementptr ptr, ptr %buffers, i64 1
  %yp = load ptr, ptr %y_entry
  %o_entry = getelementptr ptr, ptr %buffers, i64 2
  %op = load ptr, ptr %o_entry
  %x = load <2 x double>, ptr %xp, align 8
  %y = load <2 x double>, ptr %yp, align 8
  %s = fadd <2 x double> %x, %y
  store <2 x double> %s, ptr %op, align 8
  ret i64 0
"""
"""o = x + y on pairs; buffers are x, y, o."""
