"""From a NumPy function to a typed graph.

The user's function runs once on `TracedArray`s; every NumPy operation it performs becomes a node.
`array` is what user code sees, `lift` how operands and nodes are made, `context` which trace
listens, `ufuncs`, `functions` and `indexing` the NumPy surface, `captures` what is found in
closures and globals, `function` the whole of one traced function, `record` transformed ones.
"""
