"""Differentiation: graph to graph, before any optimization.

`rules.py` answers "what is the derivative of this op?" for reverse mode, `tangents.py` for forward
mode; `formulas.py` has the rules that are longer than a line. `reverse.py` and `forward.py` walk a
list of nodes with them, a graph's or a tape's. `expand.py` removes the transformations from a
traced graph. Depends on `ir`, `compiler.trace` (rules are NumPy on traced arrays) and
`compiler.batch`; everything is public to the compiler and to the façade.
"""
