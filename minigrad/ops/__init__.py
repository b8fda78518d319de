"""The differentiable operations, by family. Each is transparent: arrays in, arrays out; Variables in, Variables out.

    how they are made    make (elementwise ones in two lines each), autocast (their dtype in mixed precision)
    element by element   arithmetic, elementwise (of one variable), special, rounding, choose (where, clamp), compare
    over axes            reduce (sums, means), extremes, vector_norm, scan (cumulative), sort, activation (softmax)
    other shapes         shape, join, cut, repeat, flip, diagonal, pad, create
    picking              index (x[i], x[i] = v), gather, scatter
    products             linalg (matmul, linear), products, einsum, distance, inverse, decompose, matrix_norm
    networks             conv, pool, norm, loss, random (dropout, and the random numbers of all)

Each file says in __all__ what becomes `mg.`'s; minigrad/methods.py, what becomes a method.
"""
