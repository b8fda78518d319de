"""History: the nodes and the leaves that can be reached over the edges, by iteration, however deep the tape is."""


def nodes_behind(edges) -> list:
    """The nodes among `edges`, and all that can be reached from them, in the order of birth."""
    found = dict.fromkeys(e for e in edges if e is not None and e.order)
    todo = list(found)
    while todo:
        fresh = dict.fromkeys(e for e in todo.pop().edges if e is not None and e.order and e not in found)
        found |= fresh
        todo += fresh
    return sorted(found, key=lambda node: node.order)


def leaves_behind(edges, nodes) -> list:
    """The leaf Variables among `edges`, and those that `nodes` have taken, in the order in which they were taken."""
    taken = (e for node in nodes for e in node.edges if e is not None)
    return [e for e in dict.fromkeys([*edges, *taken]) if not e.order]
