"""Local rules: the gradient formula of an operation as a text, read from its code, with this node's facts put in.

    rule_of(node)            # of y = x * z
    d(mul): gy * b, gy * a   # gy is the gradient of the output; a and b are the inputs by forward's names

It is the `backward` that the engine calls, a method or a lambda, without what makes it fast: questions for who wants a
gradient are answered with yes, and facts of the node (an axis, an exponent) with their values. So `pow` of x ** 3 reads
gy * (3 * x ** 2). A formula with loops is shown as the code that it is.
"""

import ast
import inspect
import linecache
import textwrap
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType

from ..tape.provenance import input_names
from ..tape.variable import Variable
from .words import printable

LONG = 72  # letters of a gradient in which no name of the code is left; longer ones keep their names
LINES = 12  # of code that is shown as it is
_PLAIN = (int, float, bool, str, type(None))
_WANTED = ast.Constant(...)  # stands for an edge


@dataclass(frozen=True)
class Rule:
    """The gradients of an operation's inputs, as texts.

    Holds: operation - its name. formula - of its output, from its docstring, or "". gradients - {name of the input:
           formula}, empty where the code does not say it input by input. given - (name, formula) of what they use.
           code - what it is then, in lines; "" too where there is no source. helpers - {method that they call: what its
           docstring says}. incoming - what it calls the gradient of the output.
    """

    operation: str
    formula: str
    gradients: dict
    given: tuple = ()
    code: str = ""
    helpers: dict = field(default_factory=dict)
    incoming: str = "gy"
    trees: dict = field(default_factory=dict, repr=False, compare=False)

    def __str__(self):
        if self.gradients:
            given = f", where {', '.join(f'{name} = {text}' for name, text in self.given)}" if self.given else ""
            return f"d({self.operation}): {', '.join(self.gradients.values())}{given}"
        if self.code:
            return f"d({self.operation}): {self.code}"
        return f"d({self.operation}): no source to be had" + (f"; {self.formula}" if self.formula else "")

    def worked(self, name, numbers) -> str:
        """The gradient of the input `name` with `numbers`, {name: float}, in place of names; "" if they are not all.

        `cos(x)` becomes `cos(0.5)`. Only for formulas of numbers: in one of arrays they would not fit in a line.
        """
        tree = self.trees.get(name)
        if tree is None:
            return ""
        free = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        if self.given or not (free - called) <= numbers.keys() | {"inf", "nan", "pi", "e"}:
            return ""
        text = _text(_Numbers(numbers, called).visit(_copy(tree)))
        return text if len(text) <= LONG else ""


def rule_of(node) -> Rule:
    """The Rule of the operation `node`, a Function that has run."""
    function = _formula_of(type(node))
    names = input_names(node, len(node.edges))
    doc = (type(node).__doc__ or "").strip().partition("\n")[0].partition("      ")[0].rstrip(".")
    made = None
    tree = None if function is None else _source(function)
    gy = tree.args.args[1].arg if tree is not None and len(tree.args.args) > 1 else "gy"
    for inline in (True, False) if tree is not None else ():
        reading = _Reading(node, function, tree, inline)
        with suppress(_Unreadable):
            trees = dict(zip(names, _per_input(reading.result(), len(names)), strict=True))
            texts = {name: _text(t) for name, t in trees.items()}
            helpers = {name: text for name, text in reading.helpers.items() if f"{name}(" in " ".join(texts.values())}
            made = Rule(printable(node.name), printable(doc), texts, tuple(reading.given), "", helpers, gy, trees)
            if max(map(len, texts.values()), default=0) <= LONG:
                break
    code = "" if tree is None else _code(function, tree)
    return made or Rule(printable(node.name), printable(doc), {}, code=code, incoming=gy)


class _Unreadable(Exception):  # noqa: N818 - not an error: the code is shown as it is
    """The formula is no sequence of assignments and a result."""


# --- where the formula is ----------------------------------------------------------------------------------------


def _formula_of(kind):
    """The `backward` of a class of operations; where a kernel of a device stands in for a formula, the formula."""
    for base in kind.__mro__:
        found = vars(base).get("backward")
        if found is not None:
            function = inspect.unwrap(found)
            code = getattr(function, "__code__", None)
            if code is None:
                return None
            several = bool(code.co_flags & inspect.CO_VARARGS)
            if not several or kind.needs_rest is not None or not kind.needs:
                return function
    return None


@lru_cache(maxsize=16)
def _parsed(text):
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def _source(function):
    """The ast.Lambda or ast.FunctionDef that `function` was made of; None where that cannot be told."""
    code = function.__code__
    tree = _parsed("".join(linecache.getlines(code.co_filename, function.__globals__)))
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    found = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            args = tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
            if first == code.co_firstlineno and args == names and _same_kind(node, code):
                found.append(node)
    if len(found) > 1:  # several lambdas in a line: by the columns of its instructions
        spots = [(a, c) for a, _, c, _ in code.co_positions() if a is not None and c]
        found = [n for n in found if isinstance(n, ast.Lambda) and all(_covers(n.body, *spot) for spot in spots)]
    return found[0] if len(found) == 1 else None


def _same_kind(node, code):
    return (code.co_name == "<lambda>") if isinstance(node, ast.Lambda) else node.name == code.co_name


def _covers(node, line, column):
    """Whether a place in the file is in `node`."""
    return (node.lineno, node.col_offset) <= (line, column) <= (node.end_lineno, node.end_col_offset)


# --- reading it --------------------------------------------------------------------------------------------------


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
        """The expression that is returned. Raises: _Unreadable."""
        body = self.tree.body
        found = self.visit(_copy(body)) if isinstance(self.tree, ast.Lambda) else self._run(body)
        if found is None:
            raise _Unreadable
        return found

    def _run(self, body):
        for s in body:
            if isinstance(s, ast.Return):
                return ast.Constant(None) if s.value is None else self.visit(_copy(s.value))
            if isinstance(s, ast.Assign) and len(s.targets) == 1:
                self._assign(s.targets[0], s.value)
            elif isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
                self._assign(s.target, ast.BinOp(ast.Name(s.target.id), s.op, s.value))
            elif isinstance(s, ast.If):
                test = self.visit(_copy(s.test))
                if not isinstance(test, ast.Constant):
                    raise _Unreadable
                found = self._run(s.body if test.value else s.orelse)
                if found is not None:
                    return found
            elif not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)):
                raise _Unreadable
        return None

    def _assign(self, target, value):
        edges = self._edges(value)
        if isinstance(target, ast.Name):
            if edges is not None:
                self.wants[target.id] = edges
            elif self._is_library(value):
                self.libraries.add(target.id)
            else:
                self._name(target.id, self.visit(_copy(value)))
            return
        if not isinstance(target, ast.Tuple) or not all(isinstance(t, ast.Name) for t in target.elts):
            raise _Unreadable
        names = [t.id for t in target.elts if isinstance(t, ast.Name)]
        if edges is None:
            edges = self.visit(_copy(value))
            edges = edges.elts if isinstance(edges, ast.Tuple) else None
        if edges is None or len(edges) != len(names):
            raise _Unreadable
        for name, each in zip(names, edges, strict=True):
            self._name(name, each)

    def _name(self, name, value):
        self.names.pop(name, None)
        if self.inline or isinstance(value, (ast.Constant, ast.Name)):
            self.names[name] = value
        else:
            self.given.append((name, _text(value)))

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
        return _copy(self.names[node.id]) if node.id in self.names else node

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
        return _folded(node)

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
        left = []
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
    return type(value) in _PLAIN and (type(value) is not str or len(value) <= LONG)


def _folded(node):
    """A constant for an expression of small constants; any other expression as it is."""
    parts = [n for n in ast.walk(node) if not isinstance(n, (ast.operator, ast.unaryop, ast.cmpop, ast.expr_context))]
    if not all(isinstance(n, (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript)) for n in parts):
        return node
    if any(isinstance(n, ast.BinOp) and isinstance(n.op, (ast.Pow, ast.LShift)) for n in parts):
        return node  # could be of any length
    try:
        whole = ast.fix_missing_locations(ast.Expression(_copy(node)))
        value = eval(compile(whole, "<formula>", "eval"), {"__builtins__": {}})  # constants and operators only
    except Exception:  # noqa: BLE001 - in a branch that is not taken, as 1 / self.n where n is 0
        return node
    return ast.Constant(value) if _plain(value) else node


def _per_input(tree, count):
    """The gradients of `count` inputs. Raises: _Unreadable where they are one expression."""
    parts = list(tree.elts) if isinstance(tree, ast.Tuple) else [tree]
    if isinstance(last := parts[-1] if parts else None, ast.Starred):  # *(None for _ in index)
        each = getattr(last.value, "elt", None)
        if isinstance(each, ast.Constant) and each.value is None:
            parts[-1:] = [each] * (count - len(parts) + 1)
    if len(parts) != count or any(isinstance(p, ast.Starred) for p in parts):
        raise _Unreadable
    return parts


# --- writing it --------------------------------------------------------------------------------------------------


class _Numbers(ast.NodeTransformer):
    """Numbers in place of names and of long constants."""

    def __init__(self, numbers, called=()):
        self.numbers, self.called = numbers, called

    def visit_Name(self, node):
        return _number(self.numbers[node.id]) if node.id in self.numbers and node.id not in self.called else node

    def visit_Constant(self, node):
        return _number(node.value) if type(node.value) is float else node


def _number(x):
    text = f"{abs(x):.6g}"
    return ast.UnaryOp(ast.USub(), ast.Name(text)) if x < 0 else ast.Name(text)  # so -2 is put in brackets


def _text(tree):
    return printable(ast.unparse(_Numbers({}).visit(_copy(tree))))


def _code(function, tree):
    """The formula as it is written, without its head and its docstring; in a lambda, what follows the colon."""
    if isinstance(tree, ast.Lambda):
        return _text(tree.body)
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    body = tree.body[1:] if ast.get_docstring(tree) and len(tree.body) > 1 else tree.body
    text = textwrap.dedent("".join(lines[body[0].lineno - 1 : body[-1].end_lineno])).rstrip()
    lines = [printable(line) for line in text.split("\n")]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], f"… {len(lines) - LINES + 1} more lines"])


def _copy(tree):
    """A copy of an expression: a transformer writes into what it is given."""
    if isinstance(tree, ast.AST):
        fields = {name: _copy(value) for name, value in ast.iter_fields(tree)}
        return type(tree)(**fields)
    return [_copy(x) for x in tree] if isinstance(tree, list) else tree
