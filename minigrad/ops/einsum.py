"""Sums of products with axes by label: einsum, tensordot, inner. All are made of products of matrices.

Two operands are multiplied at a time. A label that both have and that is needed later is an axis of the batch; one
that both have and nobody needs is summed by the GEMM; what only one has are its rows or columns. So the gradients, to
any order, are those of matmul, mul, permute, reshape and sum.
"""

import itertools
import math

from ..errors import ShapeError
from ..tape.modes import regions
from .arithmetic import mul
from .autocast import narrow
from .diagonal import diagonal
from .linalg import MatMul
from .reduce import Sum
from .shape import axis_of, permute, reshape

__all__ = ["einsum", "tensordot", "inner"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(equation, *operands):
    """The products of operands, summed over the labels that the output does not have.

        einsum("bij,bjk->bik", a, b)    products of matrices        einsum("ii->i", a)      a diagonal
        einsum("...ij->...ji", a)       transposes                  einsum("i,j", a, b)     an outer product

    Letters label axes. "..." stands for any number of axes, which broadcast; axes of size 1 broadcast under a letter
    too. A letter twice in one operand takes the diagonal. Without "->", the output has the axes of "..." and then, in
    alphabetical order (capitals first), the letters that occur once. More than two operands are multiplied two at a
    time, the cheapest pair first.

    Args:   equation, operands - or einsum(a, [0, 1], b, [1, 2], [0, 2]): operands, each with its labels, numbers below
            52 or `...`; and then those of the output.
    Raises: ShapeError if labels and operands do not fit; DTypeError if the dtypes differ where they are summed over.
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists(equation, *operands)
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if regions:
        operands = tuple(map(narrow, operands))
    return _contracted("einsum", operands, *_parsed(equation, operands))


def _from_lists(*arguments):
    """(equation, operands) of the form with lists of numbers."""

    def text(labels):
        wrong = [i for i in labels if i is not ... and not (isinstance(i, int) and 0 <= i < len(_LETTERS))]
        if wrong:
            raise ShapeError(f"einsum: labels are numbers from 0 to 51 or `...`, got {wrong[0]!r}")
        return "".join("..." if i is ... else _LETTERS[i] for i in labels)

    if len(arguments) < 2 or not all(isinstance(labels, (list, tuple)) for labels in arguments[1::2]):
        raise ShapeError("einsum: expected an equation and operands, or operands each followed by a list of labels")
    output = f"->{text(arguments[-1])}" if len(arguments) % 2 else ""
    return ",".join(map(text, arguments[1::2])) + output, arguments[: len(arguments) // 2 * 2 : 2]


def _parsed(equation, operands):
    """(the labels of each operand, those of the output). The axes of "..." are -1, -2, ... from the last one on."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"einsum: {equation!r} is about {len(terms)} operands, and {len(operands)} were given")
    inputs = []
    for term, x in zip(terms, operands, strict=True):
        head, dots, tail = _term(equation, term)
        spare = x.ndim - len(head) - len(tail)
        if spare < 0 or (spare and not dots):
            raise ShapeError(f"einsum: {term!r} of {equation!r} does not fit the {x.ndim} axes of an operand {x.shape}")
        inputs.append([*head, *range(-spare, 0), *tail])
    known = set(itertools.chain(*inputs))
    dotted = range(min([0, *(label for label in known if isinstance(label, int))]), 0)
    if not arrow:
        return inputs, [*dotted, *sorted(label for label in known if isinstance(label, str) and left.count(label) == 1)]
    head, dots, tail = _term(equation, right)
    output = [*head, *(dotted if dots else ()), *tail]
    for label in head + tail:
        if label not in known:
            raise ShapeError(f"einsum: no operand of {equation!r} has the label {label!r} of the output")
        if output.count(label) > 1:
            raise ShapeError(f"einsum: the output of {equation!r} has the label {label!r} twice; see mg.diag")
    return inputs, output


def _term(equation, term):
    """The letters before "...", "..." or "", and the letters behind."""
    head, dots, tail = term.partition("...")
    for letter in head + tail:
        if letter not in _LETTERS:
            raise ShapeError(f"einsum: {letter!r} in {equation!r} is no label: labels are letters, and '...' once each")
    return head, dots, tail


def _contracted(name, operands, inputs, output):
    """The products of operands whose axes have the labels `inputs`, as an array whose axes are those of `output`."""
    sizes = _sizes(name, operands, inputs)
    terms = [_reduced(x, labels) for x, labels in zip(operands, inputs, strict=True)]

    def cost(pair):
        return math.prod(sizes[label] for label in {*terms[pair[0]][1], *terms[pair[1]][1]})

    while len(terms) > 1:
        i, j = min(itertools.combinations(range(len(terms)), 2), key=cost)
        (b, of_b), (a, of_a) = terms.pop(j), terms.pop(i)
        terms.append(_product(a, of_a, b, of_b, {*output}.union(*(labels for _, labels in terms))))
    x, labels = terms[0]
    x, labels = _summed(x, labels, output)
    x = _ordered(x, [labels.index(label) for label in output if label in labels])
    return _shaped(x, [sizes[label] for label in output])


def _sizes(name, operands, inputs):
    """label -> its size, where 1 gives way to any other."""
    sizes: dict = {}
    for x, labels in zip(operands, inputs, strict=True):
        for label, n in zip(labels, x.shape, strict=True):
            known = sizes.get(label, 1)
            if n != known and 1 not in (n, known):
                shapes = ", ".join(str(x.shape) for x in operands)
                raise ShapeError(f"{name}: axes with the label {label!r} have sizes {known} and {n}; operands {shapes}")
            sizes[label] = known if n == 1 else n
        if any(n != x.shape[labels.index(label)] for label, n in zip(labels, x.shape, strict=True)):
            raise ShapeError(f"{name}: a label occurs twice in the operand {x.shape}, with two sizes")
    return sizes


def _reduced(x, labels):
    """x without axes that share a label, of which it keeps the diagonal, and without axes of size 1."""
    for label in [label for label in dict.fromkeys(labels) if labels.count(label) > 1]:
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            rest = [k for k in range(x.ndim) if k not in (i, j)]
            x, labels = diagonal(x, 0, i, j), [*(labels[k] for k in rest), label]
    sizes = x.shape
    kept = [label for label, n in zip(labels, sizes, strict=True) if n != 1]
    return _shaped(x, [n for n in sizes if n != 1]), kept


def _product(a, of_a, b, of_b, needed):
    """(the product, its labels) of two operands, without the labels that are not needed any more."""
    a, of_a = _summed(a, of_a, needed | {*of_b})
    b, of_b = _summed(b, of_b, needed | {*of_a})
    rows, columns = [x for x in of_a if x not in of_b], [x for x in of_b if x not in of_a]
    batch, inner = ([x for x in of_a if x in of_b and (x in needed) is wanted] for wanted in (True, False))
    sizes = dict(zip(of_a, a.shape, strict=True)) | dict(zip(of_b, b.shape, strict=True))
    a = _ordered(a, [of_a.index(x) for x in (*batch, *rows, *inner)])
    b = _ordered(b, [of_b.index(x) for x in (*batch, *inner, *columns)])
    labels = batch + rows + columns
    if not inner:  # nothing to sum
        a = _shaped(a, [*a.shape, *(1 for _ in columns)])
        return mul(a, _shaped(b, [*b.shape[: len(batch)], *(1 for _ in rows), *b.shape[len(batch) :]])), labels
    stack = [math.prod(sizes[x] for x in batch)] if batch else []
    n, k, m = (math.prod(sizes[x] for x in group) for group in (rows, inner, columns))
    y = MatMul()(_shaped(a, [*stack, n, k]), _shaped(b, [*stack, k, m]))
    return _shaped(y, [sizes[x] for x in labels]), labels


def _summed(x, labels, needed):
    """(x, its labels) summed over those that are not needed."""
    axes = tuple(i for i, label in enumerate(labels) if label not in needed)
    return (Sum(axes, False)(x), [label for label in labels if label in needed]) if axes else (x, labels)


def _ordered(x, axes):
    return x if axes == sorted(axes) else permute(x, axes)


def _shaped(x, shape):
    return x if x.shape == tuple(shape) else reshape(x, tuple(shape))


def tensordot(a, b, dims=2):
    """The products of a and b, summed over pairs of axes.

    Shapes: a (..., k, ...), b (..., k, ...) -> the other axes of a, then those of b.
    Args:   dims - how many axes, the last of a and the first of b; or two lists of as many axes.
    Raises: ShapeError if the sizes differ.
    """
    if regions:
        a, b = narrow(a), narrow(b)
    dims = dims.tolist() if hasattr(dims, "tolist") else dims
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot: dims is from 0 to the number of axes, got {dims}; a {a.shape}, b {b.shape}")
        dims = range(a.ndim - dims, a.ndim), range(dims)
    first, second = ([axis_of("tensordot", x, axis) for axis in axes] for x, axes in zip((a, b), dims, strict=True))
    if not len(first) == len(second) == len({*first}) == len({*second}):
        raise ShapeError(f"tensordot: as many axes of a as of b are summed over, each once; got {first} and {second}")
    of_a, of_b = list(range(a.ndim)), list(range(a.ndim, a.ndim + b.ndim))
    for i, j in zip(first, second, strict=True):
        of_b[j] = of_a[i]
    output = [label for label in of_a if label not in of_b] + [label for label in of_b if label not in of_a]
    return _contracted("tensordot", (a, b), (of_a, of_b), output)


def inner(input, other):
    """The products summed over the last axes; with a number, `mul`.

    Shapes: input (..., k), other (*, k) -> (..., *).
    """
    if not input.ndim or not other.ndim:
        return mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(f"inner: the last axes differ in size; input is {input.shape}, other {other.shape}")
    return tensordot(input, other, ([-1], [-1]))
