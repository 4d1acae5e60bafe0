"""Code generation: kernels in the loop language become one LLVM module, and that object code.

`assembly.py` and `operand.py` write LLVM text, `elementwise.py` is the table of ops, `math/` holds
the elementary functions, `kernel.py` emits a kernel, `program.py` the routine that runs them all.
Called by the pipeline only.
"""
