"""The table of operations. A row gives the operation, its inputs, and NumPy's answer; test_ops.py runs every row.

`Row(name, function, inputs, reference)`: inputs are shapes, or arrays where the domain or the values matter. Arrays
of integers and bools are handed on without a gradient. Values are drawn so that kinks and ties keep their distance.
"""

from . import elementwise, index, linalg, nn, order, reduce, shape, windows
from .row import Row as Row
from .row import distinct as distinct

ROWS = [row for family in (elementwise, reduce, order, shape, index, linalg, windows, nn) for row in family.ROWS]
