"""Containers: Sequential runs its modules one after another; ModuleList and ModuleDict only hold them."""

from collections.abc import Iterable, Mapping

from ..errors import IndexRangeError
from .module import Module, bracketed, indented


class _Modules(Module):
    """A list of modules, registered under "0", "1", ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        return self._modules[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._name_at(index), module)

    def __delitem__(self, index) -> None:
        if not isinstance(index, slice):
            self._name_at(index)
        modules = list(self)
        del modules[index]
        self._renumber(modules)

    def __iadd__(self, modules):
        return self.extend(modules)

    def append(self, module: Module):
        """Add a module at the end. Returns self."""
        number = len(self)
        while str(number) in self._modules:  # a slice of a Sequential keeps its names
            number += 1
        self.register_module(str(number), module)
        return self

    def extend(self, modules: Iterable[Module]):
        """Add modules at the end. Returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module):
        """Put a module before position `index`, as list.insert does; all are numbered anew. Returns self."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take the module at `index` out, by default the last, and return it."""
        module = self[index]
        del self[index]
        return module

    def _name_at(self, index):
        try:
            return list(self._modules)[index]
        except IndexError:
            raise IndexRangeError(f"{type(self).__name__}: no module {index}, there are {len(self)}") from None

    def _renumber(self, modules):
        for name in list(self._modules):
            delattr(self, name)
        for number, module in enumerate(modules):
            self.register_module(str(number), module)


class Sequential(_Modules):
    """Modules run one after another, each on what the one before returned.

        Sequential(Linear(4, 8), ReLU(), Linear(8, 3))
        Sequential({"fc": Linear(4, 3), "act": ReLU()})      # named; PyTorch wants an OrderedDict here

    Indexing gives a module, a slice a Sequential of the same modules under the same names.
    """

    def __init__(self, *modules):
        super().__init__()
        named = isinstance(modules[0], Mapping) if len(modules) == 1 else False
        for name, module in modules[0].items() if named else enumerate(modules):
            self.register_module(str(name), module)

    def forward(self, x):
        for module in self._modules.values():
            x = module(x)
        return x

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return super().__getitem__(index)


class ModuleList(_Modules):
    """A list whose modules belong to the module that holds it. It has no forward: loop over it.

    Args: modules - what to begin with, default none.
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(() if modules is None else modules)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return super().__getitem__(index)

    def __repr__(self) -> str:
        """Runs of equal modules in one line, as PyTorch does: `(0-2): 3 x ReLU()`."""
        runs: list[list] = []  # [text, first, last]
        for number, text in enumerate(map(repr, self)):
            if runs and runs[-1][0] == text:
                runs[-1][2] = number
            else:
                runs.append([text, number, number])
        lines = [
            f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}"
            for text, first, last in runs
        ]
        return bracketed(type(self).__name__, [indented(line) for line in lines])


class ModuleDict(Module):
    """A dict whose modules belong to the module that holds it. It has no forward: look modules up by name.

    Args: modules - a dict, or pairs (name, module), to begin with; default none.
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update(() if modules is None else modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, name) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Module:
        if name not in self._modules:
            raise KeyError(f"ModuleDict: no module {name!r}, there are {', '.join(self._modules) or 'none'}")
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.register_module(name, module)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """Pairs (name, module)."""
        return self._modules.items()

    def pop(self, name: str) -> Module:
        """Take the module `name` out and return it."""
        module = self[name]
        delattr(self, name)
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in list(self._modules):
            delattr(self, name)

    def update(self, modules) -> None:
        """Add the modules of a dict, a ModuleDict or pairs (name, module); those of the same name are replaced."""
        pairs = modules.items() if isinstance(modules, Mapping | ModuleDict) else modules
        for name, module in list(pairs):
            self[name] = module
