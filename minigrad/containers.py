"""Containers: tuples, lists, dicts and named tuples, to any depth. Whatever else is in them is a leaf.

tree = {"w": a, "more": [b, (c,)]}
leaves(tree)                    # [a, b, c]
rebuilt(tree, [1, 2, 3])        # {"w": 1, "more": [2, (3,)]}
"""

import copy

from .errors import ShapeError


def _children(tree):
    """Pairs (key, child) of a container; None for a leaf."""
    if isinstance(tree, dict):
        return tree.items()
    return enumerate(tree) if isinstance(tree, (tuple, list)) else None


def leaves(tree) -> list:
    """What is in `tree`, in its order."""
    children = _children(tree)
    return [tree] if children is None else [leaf for _, child in children for leaf in leaves(child)]


def paths(tree, root: str = "") -> list[str]:
    """Where the leaves are, each as one would write it: `root['more'][1][0]`."""
    children = _children(tree)
    return [root] if children is None else [p for k, child in children for p in paths(child, f"{root}[{k!r}]")]


def rebuilt(tree, new):
    """Containers like `tree`, with `new` in the place of its leaves."""
    return _rebuilt(tree, iter(new))


def _rebuilt(tree, new):
    if isinstance(tree, dict):
        twin = copy.copy(tree)  # not type(tree)(): a defaultdict, say, has more to it than its entries
        twin.update({key: _rebuilt(child, new) for key, child in tree.items()})
        return twin
    if isinstance(tree, (tuple, list)):
        values = [_rebuilt(child, new) for child in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return next(new)


def leaves_like(tree, like, name: str, root: str) -> list:
    """The leaves of `tree` in the order of those of `like`, whose containers it must have.

    Raises: ShapeError, naming the place below `root`, where it has others.
    """
    children = _children(like)
    if children is None:
        if _children(tree) is not None:
            raise ShapeError(f"{name}: {root} must be one Variable, and is {_shown(tree)}")
        return [tree]
    wanted, found = dict(children), _children(tree)
    alike = found is not None and isinstance(tree, dict) == isinstance(like, dict)
    if not alike or dict(found).keys() != wanted.keys():
        raise ShapeError(f"{name}: {root} must be {_shown(like)}, and is {_shown(tree)}")
    return [leaf for key, child in wanted.items() for leaf in leaves_like(tree[key], child, name, f"{root}[{key!r}]")]


def _shown(tree):
    if isinstance(tree, dict):
        return f"a dict with {', '.join(map(repr, tree)) or 'nothing'}"
    if isinstance(tree, (tuple, list)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"a {type(tree).__name__}"
