"""How native code runs: loading, memory, caches, the call path and define-by-run execution.

May import `ir`; never `compiler` (they meet at `ir.program.Program`).
"""
