"""Reading a gradient formula: its syntax tree is run on expressions instead of numbers, as far as it decides itself.

    def backward(self, gy, b, y):                       read(...)
        g = gy / b
        return g, None if self.wants[1] is None else -(g * y)           gy / b, -(gy / b * y)

Assignments put expressions in the places of names; facts of the node (self.n) and what operators make of constants
are constants; branches on constants are taken. All gradients count as wanted. What is left is what one would write.
"""

import ast
import inspect
import operator
from contextlib import suppress
from types import ModuleType

from ...tape.variable import Variable
from ..words import printable

LONGEST = 72  # letters of a text among the facts
_PLAIN = (int, float, bool, str, type(None))
_WANTED = ast.Constant(...)  # stands for an edge


class Unreadable(Exception):  # noqa: N818 - not an error: the code is shown as it is
    """The formula is no sequence of assignments and a result."""


def read(node, function, tree, inline) -> tuple:
    """What the formula of an operation says.

    Args:    node - the operation. function, tree - its `backward` and the ast.Lambda or ast.FunctionDef of that.
             inline - put expressions in the places of names.
    Returns: (an expression for each input, pairs (name, expression) of what they use, {method that is called: what its
             docstring says}).
    Raises:  Unreadable.
    """
    reading = _Reading(node, function, tree, inline)
    return _per_input(reading.result(), len(node.edges)), reading.given, reading.helpers


class _Reading(ast.NodeTransformer):
    """Runs the assignments of a formula on expressions: names of the code go, constants are computed."""

    def __init__(self, node, function, tree, inline):
        self.node, self.tree, self.inline = node, tree, inline
        self.me = tree.args.args[0].arg if tree.args.args else None
        self.names: dict = {}  # name -> expression
        self.wants: dict = {}  # name -> list of edges, as constants
        self.given: list = []
        self.helpers: dict = {}
        self.libraries: set = set()  # names of the code
        self.modules = {name for name, x in function.__globals__.items() if isinstance(x, ModuleType)}
        self.types = {name for name, x in function.__globals__.items() if x is Variable}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            with suppress(ValueError):  # an empty cell
                own = getattr(cell.cell_contents, "__name__", "")
                if own.isidentifier():
                    self.names[name] = ast.Name(own)

    def result(self):
        """The expression that is returned. Raises: Unreadable."""
        body = self.tree.body
        found = self.visit(copied(body)) if isinstance(self.tree, ast.Lambda) else self._run(body)
        if found is None:
            raise Unreadable
        return found

    def _run(self, body):
        for s in body:
            if isinstance(s, ast.Return):
                return ast.Constant(None) if s.value is None else self.visit(copied(s.value))
            if isinstance(s, ast.Assign) and len(s.targets) == 1:
                self._assign(s.targets[0], s.value)
            elif isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
                self._assign(s.target, ast.BinOp(ast.Name(s.target.id), s.op, s.value))
            elif isinstance(s, ast.If):
                test = self.visit(copied(s.test))
                if not isinstance(test, ast.Constant):
                    raise Unreadable
                found = self._run(s.body if test.value else s.orelse)
                if found is not None:
                    return found
            elif not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)):
                raise Unreadable
        return None

    def _assign(self, target, value):
        edges = self._edges(value)
        if isinstance(target, ast.Name):
            if edges is not None:
                self.wants[target.id] = edges
            elif self._is_library(value):
                self.libraries.add(target.id)
            else:
                self._name(target.id, self.visit(copied(value)))
            return
        if not isinstance(target, ast.Tuple) or not all(isinstance(t, ast.Name) for t in target.elts):
            raise Unreadable
        names = [t.id for t in target.elts if isinstance(t, ast.Name)]
        if edges is None:
            edges = self.visit(copied(value))
            edges = edges.elts if isinstance(edges, ast.Tuple) else None
        if edges is None or len(edges) != len(names):
            raise Unreadable
        for name, each in zip(names, edges, strict=True):
            self._name(name, each)

    def _name(self, name, value):
        self.names.pop(name, None)
        if self.inline or isinstance(value, (ast.Constant, ast.Name)):
            self.names[name] = value
        else:
            self.given.append((name, value))

    def _edges(self, value):
        """What self.wants, or a part of it, stands for: a list; None for anything else."""
        if isinstance(value, ast.Name) and value.id in self.wants:
            return self.wants[value.id]
        if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice):
            whole = self._edges(value.value)
            with suppress(ValueError, TypeError):
                ends = [s and ast.literal_eval(s) for s in (value.slice.lower, value.slice.upper, value.slice.step)]
                return None if whole is None else whole[slice(*ends)]
        if self._mine(value) == "wants":
            return [_WANTED] * len(self.node.edges)
        return None

    def _mine(self, value):
        """The name of an attribute of self; None for anything else."""
        mine = isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == self.me
        return value.attr if mine else None

    def visit_Name(self, node):
        return copied(self.names[node.id]) if node.id in self.names else node

    def visit_Attribute(self, node):
        mine = self._mine(node)
        if mine is not None:
            value = getattr(self.node, mine, ...)
            if inspect.ismethod(value) and value.__doc__:
                self.helpers[mine] = printable(value.__doc__.strip().partition("\n")[0].rstrip("."))
            return ast.Constant(value) if _plain(value) else ast.Name(mine)
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            return ast.Name(node.attr)
        return self.generic_visit(node)

    def visit_Subscript(self, node):
        edges = self._edges(node.value)
        node = self.generic_visit(node) if edges is None else node
        place = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if edges is not None and isinstance(place, int) and -len(edges) <= place < len(edges):
            return edges[place]
        whole: object = node.value.value if isinstance(node.value, ast.Constant) else None
        if type(whole) is tuple and isinstance(place, int) and -len(whole) <= place < len(whole):
            return ast.Constant(whole[place])
        return node

    def visit_Call(self, node):
        f = node.func
        if isinstance(f, ast.Name) and f.id == "isinstance" and self._is_type(node):
            return ast.Constant(True)  # the same on arrays is written for speed
        library = isinstance(f, ast.Attribute) and self._is_library(f.value)
        node = self.generic_visit(node)
        if library:
            node.func = ast.Name(f.attr)
        return node

    def _is_library(self, tree):
        """Whether it reads backend[type(x)], lib(x), or a name for that."""
        if isinstance(tree, ast.Name):
            return tree.id in self.libraries
        named = tree.value if isinstance(tree, ast.Subscript) else tree.func if isinstance(tree, ast.Call) else None
        return isinstance(named, ast.Name) and named.id in ("backend", "lib")

    def _is_type(self, call):
        return len(call.args) == 2 and isinstance(call.args[1], ast.Name) and call.args[1].id in self.types

    def visit_IfExp(self, node):
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_BoolOp(self, node):
        left: list[ast.expr] = []
        stops = isinstance(node.op, ast.Or)
        for value in map(self.visit, node.values):
            if not isinstance(value, ast.Constant):
                left.append(value)
            elif bool(value.value) is stops:
                if not left:
                    return value
                left.append(value)
        return ast.Constant(not stops) if not left else left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    def visit_BinOp(self, node):
        return _folded(self.generic_visit(node))

    visit_Compare = visit_UnaryOp = visit_BinOp  # noqa: N815


def _plain(value):
    if type(value) is tuple:
        return len(value) <= 6 and all(map(_plain, value))
    return type(value) in _PLAIN and (type(value) is not str or len(value) <= LONGEST)


def _folded(node):
    """The constant that an operator makes of constants; any other expression as it is."""
    operands: list[ast.expr]
    kind: type[ast.AST]
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        operands, kind = [node.left, *node.comparators], type(node.ops[0])
    elif isinstance(node, ast.BinOp):
        operands, kind = [node.left, node.right], type(node.op)
    elif isinstance(node, ast.UnaryOp):
        operands, kind = [node.operand], type(node.op)
    else:
        return node
    values = [x.value for x in operands if isinstance(x, ast.Constant)]
    numbers = all(type(v) in (int, float) for v in values)
    if len(values) < len(operands) or kind not in _OPERATORS or not (numbers or kind in _OF_ANY):
        return node
    try:
        return ast.Constant(_OPERATORS[kind](*values))
    except ArithmeticError:  # in a branch that is not taken, as 1 / self.n where n is 0
        return node


# A power could be of any length, and reads better as it is.
_OF_ANY: dict = {ast.Is: operator.is_, ast.IsNot: operator.is_not, ast.Eq: operator.eq, ast.NotEq: operator.ne}
_OF_ANY |= {ast.Not: operator.not_}
_OPERATORS: dict = _OF_ANY | {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_OPERATORS |= {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_OPERATORS |= {ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg}


def _per_input(tree, count):
    """The gradients of `count` inputs. Raises: Unreadable where they are one expression."""
    parts = list(tree.elts) if isinstance(tree, ast.Tuple) else [tree]
    if isinstance(last := parts[-1] if parts else None, ast.Starred):  # *(None for _ in index)
        each = getattr(last.value, "elt", None)
        if isinstance(each, ast.Constant) and each.value is None:
            parts[-1:] = [each] * (count - len(parts) + 1)
    if len(parts) != count or any(isinstance(p, ast.Starred) for p in parts):
        raise Unreadable
    return parts


def copied(tree):
    """A copy of an expression: a transformer writes into what it is given."""
    if isinstance(tree, ast.AST):
        fields = {name: copied(value) for name, value in ast.iter_fields(tree)}
        return type(tree)(**fields)
    return [copied(x) for x in tree] if isinstance(tree, list) else tree
