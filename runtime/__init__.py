"""How native code runs: loading, memory, caches, the call path and define-by-run execution.

A call goes `flatten.describe` (what was passed?) → `call.Entry` (point, run, return) →
`executable.Executable` (frames, failures) → `loader.Routine` (the machine code). That is the Python
path. A `native.NativeEntry` does the same in machine code for calls that it recognizes exactly.

| module | answers |
|---|---|
| `jit`, `loader` | how object code becomes callable, and when its pages go away |
| `threads`, `pool_code`, `pool_system` | the pool that runs the pieces of large kernels |
| `pool_choice` | whether a program runs on several threads at all |
| `pointers` | how an array's address and flags are read without NumPy's Python layer |
| `arena` | where temporaries, buffer tables and scalars live during one call |
| `executable` | a `Program` as a Python callable on arrays that already fit |
| `flatten` | arguments to leaves and a signature key, fast |
| `layout` | arguments that do not lie as the program wants them: copies, aliases, overlaps |
| `call` | one signature's whole call, from leaves to results |
| `abi` | whether this interpreter's objects are laid out as native entries expect |
| `binding`, `context`, `watching` | what one native entry checks and returns, and its memory |
| `native` | native entries: linked, tried in turn, given up |

May import `ir`; never `compiler` (they meet at `ir.program.Program` and `ir.entry.EntrySpec`).
"""
