"""How native code runs: loading, memory, caches, the call path and define-by-run execution.

A call goes `flatten.describe` (what was passed?) → `call.Entry` (point, run, return) →
`executable.Executable` (frames, failures) → `loader.Routine` (the machine code).

| module | answers |
|---|---|
| `jit`, `loader` | how object code becomes callable, and when its pages go away |
| `threads`, `pool_code`, `pool_system` | the pool that runs the pieces of large kernels |
| `pointers` | how an array's address and flags are read without NumPy's Python layer |
| `arena` | where temporaries, buffer tables and scalars live during one call |
| `executable` | a `Program` as a Python callable on arrays that already fit |
| `flatten` | arguments to leaves and a signature key, fast |
| `layout` | arguments that do not lie as the program wants them: copies, aliases, overlaps |
| `call` | one signature's whole call, from leaves to results |
| `eager` | ops executed at once by NumPy, recorded while a gradient needs them |

May import `ir`; never `compiler` (they meet at `ir.program.Program`).
"""
