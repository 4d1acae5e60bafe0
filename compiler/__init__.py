"""How a NumPy function becomes native code: trace, differentiate, batch, passes, lower, codegen.

May import `ir`; never `runtime` (they meet at `ir.program.Program`).
"""
