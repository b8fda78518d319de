"""The functions of cupy, cupy.linalg and ndarray: NumPy's, called with CuPy's parameters only.

What NumPy lacks, and what CuPy does otherwise, is written out in special.py.
"""

import inspect
import re

import numpy as np

from . import snapshot
from .array import ndarray
from .lanes import current, meet
from .operands import SCALARS, refused, target, wrap
from .records import synchronized

# Of names and shapes, not of elements: they take no part in what is computed, and answer on the host.
HOST = set(
    "result_type promote_types can_cast issubdtype isdtype min_scalar_type common_type mintypecode typename finfo "
    "iinfo broadcast_shapes isscalar iscomplexobj isrealobj ndim shape size base_repr binary_repr may_share_memory "
    "shares_memory get_printoptions set_printoptions printoptions issctype issubclass_ obj2sctype sctype2char".split()
)
# The host waits: for how many elements there will be, or for whether to raise.
WAITS = set(
    "nonzero flatnonzero argwhere unique unique_all unique_counts unique_inverse unique_values extract compress "
    "bincount histogram histogram2d histogramdd trim_zeros setdiff1d intersect1d union1d setxor1d in1d isin delete "
    "percentile quantile nanpercentile nanquantile piecewise choose place lexsort array_repr array_str array2string "
    "savetxt save savez savez_compressed".split()
)
KEEP_LAYOUT = set("copy asfortranarray empty_like zeros_like ones_like full_like require".split())
# The parameters that take lists of numbers, strings and the like; a list for another one has to be of arrays.
PLAIN = re.compile(
    r"axis\d?|axes|axis[abc]|(new_?)?shape|size|d?type|dtype|reps|repeats|pad_width|shift|indices_or_sections|source|"
    r"destination|window_shape|strides|dim(ension)?s|range|bins|kth|ord|constant_values|end_values|stat_length|keepdims"
)
# What only looks at the memory of an array, where it can, may do so from any device.
VIEWS = set(
    "moveaxis rollaxis swapaxes squeeze expand_dims broadcast_to broadcast_arrays atleast_1d atleast_2d atleast_3d "
    "flip fliplr flipud rot90 split array_split hsplit vsplit dsplit transpose permute_dims matrix_transpose diagonal "
    "real ravel reshape view".split()
)
WRITTEN = {"cupy": {"put", "place", "putmask", "fill_diagonal"}, "cupy.ndarray": {"put", "sort", "partition"}}


def _take(x, parameter, arrays):
    """The NumPy array or plain value for an argument; arrays of the double are noted in `arrays`."""
    kind = type(x)
    if kind is ndarray:
        arrays.append(x)
        return x._a
    if kind in SCALARS or x is None:
        return x
    if isinstance(x, np.ndarray):
        raise refused(kind)
    if kind is list or kind is tuple:
        if PLAIN.fullmatch(parameter):
            return x
        if any(type(part) is not ndarray and not isinstance(part, list | tuple) for part in x):
            other = next(type(part) for part in x if type(part) is not ndarray)
            raise refused(kind if other in SCALARS else other)
        return kind(_take(part, parameter, arrays) for part in x)
    return x


class Function:
    """A function of CuPy's that NumPy computes.

    `order` are its positional parameters; NumPy's may stand in another order, so all but the first that agree are
    handed over by their names.
    """

    def __init__(self, place, name, reference):
        self.__name__, self.__module__ = name, place
        self.reference, self.check = reference, snapshot.checked(place, name)
        known = snapshot.signature(place, name)
        parameters = list(known.parameters.values()) if known else []
        self.order = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD or p.kind is p.POSITIONAL_ONLY]
        self.open = any(p.kind is p.VAR_POSITIONAL for p in parameters) or not known
        self.theirs, self.same = self._agreement(place == "cupy.ndarray")
        self.host, self.waits = name in HOST, name in WAITS
        self.keep_layout, self.views = name in KEEP_LAYOUT, name in VIEWS
        self.written = name in WRITTEN.get(place, ())
        self.out = self.order.index("out") if "out" in self.order else None

    def _agreement(self, is_method):
        """(NumPy's parameters, how many at the start are the same), or (None, all) where nobody tells."""
        try:
            theirs = list(inspect.signature(self.reference).parameters.values())
        except ValueError:
            return None, len(self.order)
        if any(p.kind is p.VAR_POSITIONAL for p in theirs) or self.open:
            return None, len(self.order)
        theirs = [p for p in theirs if p.name != "self"]
        same = 0 if is_method else 1  # the first is the array, under whatever name
        for ours, other in zip(self.order[same:], theirs[same:], strict=False):
            if other.kind is other.KEYWORD_ONLY or (ours != other.name and other.kind is not other.POSITIONAL_ONLY):
                break
            same += 1
        anything = any(p.kind is p.VAR_KEYWORD for p in theirs)
        return None if anything else {p.name for p in theirs}, same

    def __repr__(self):
        return f"<function {self.__module__}.{self.__name__} of the double>"

    def __get__(self, instance, owner=None):
        return self if instance is None else lambda *args, **kwargs: self(*args, of=instance, **kwargs)

    def __call__(self, *args, of=None, **kwargs):
        self.check(args, kwargs)
        if self.host:
            return self.reference(*(x._a if type(x) is ndarray else x for x in args), **kwargs)
        if self.waits:
            synchronized(self.__name__)
        kwargs.pop("blocking", None)
        same = self.same if self.out is None else min(self.same, self.out)
        if len(args) > same and not self.open:
            kwargs |= dict(zip(self.order[same:], args[same:], strict=False))
            args = args[:same]
        out = kwargs.pop("out", None)
        arrays, cast = [], None
        values = [] if of is None else [_take(of, "self", arrays)]
        values += [_take(x, self.order[i] if i < len(self.order) else "", arrays) for i, x in enumerate(args)]
        named = {name: _take(x, name, arrays) for name, x in kwargs.items()} if kwargs else {}
        if self.theirs is not None and not self.theirs >= named.keys():
            named, cast = self._without_unknown(named)
        if self.written:
            target(arrays[0])
        if not self.views:
            self._meet(arrays)
        with np.errstate(all="ignore"):
            if out is None:
                result = self.reference(*values, **named)
                made = wrap(result if cast is None else result.astype(cast), arrays, self.keep_layout)
                if self.views and type(made) is ndarray and made.base is None:
                    self._meet(arrays)  # it is a copy
                return made
            place = target(out)
            if self.theirs is None or "out" in self.theirs:
                self.reference(*values, out=place, **named)
            else:
                np.copyto(place, self.reference(*values, **named), casting="same_kind")
        return out

    @staticmethod
    def _meet(arrays):
        lane = current.lane
        for x in arrays:
            if x._mem.lane is not lane:
                meet(x._mem)

    def _without_unknown(self, named):
        """(the keywords that NumPy's function knows, the dtype for the result where it does not know `dtype`)."""
        unknown = {n: x for n, x in named.items() if n not in self.theirs and x is not None}
        cast = unknown.pop("dtype", None)
        if unknown:
            raise NotImplementedError(f"{self!r} cannot do {', '.join(unknown)}=: write it in tests/fakecupy")
        return {n: x for n, x in named.items() if n in self.theirs}, cast


def functions(place, module) -> dict:
    """All functions of CuPy's in `place` that NumPy has in `module`."""
    return {
        name: Function(place, name, getattr(module, name))
        for name, facts in snapshot.names(place).items()
        if facts["kind"] == "function" and callable(getattr(module, name, None))
    }


def constants(place, module) -> dict:
    """What is the same object in CuPy and NumPy: dtypes, pi, newaxis, exceptions."""
    names = [n for n, facts in snapshot.names(place).items() if facts["kind"] in ("attribute", "class") and n[0] != "_"]
    found = {name: getattr(module, name) for name in names if hasattr(module, name)}
    same = (np.generic, np.dtype, Exception)
    return {name: x for name, x in found.items() if not inspect.isclass(x) or issubclass(x, same)}


def bind_methods():
    """ndarray's methods that are NumPy's."""
    for name in snapshot.names("cupy.ndarray"):
        method = getattr(np.ndarray, name, None)
        if name[0] != "_" and callable(method) and name not in vars(ndarray):
            setattr(ndarray, name, Function("cupy.ndarray", name, method))
