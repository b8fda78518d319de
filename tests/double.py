"""Switching the strict double of CuPy (tests/fakecupy) on and off: minigrad finds two GPUs where there are none."""

import contextlib
import sys

import minigrad.backend as floor

OURS = ("minigrad.backend.cuda", "minigrad.backend.kernels", "minigrad.backend.prefetch")
_stash: dict = {}  # number of devices -> what the double's session has loaded: modules, and the CUDA backend


def _loaded():
    """The modules that know CuPy, under their names."""
    names = [n for n in sys.modules if n.split(".")[0] in ("cupy", "cupyx") or n.startswith(OURS)]
    return {n: sys.modules[n] for n in names}


def _take_out():
    """Remove them, and what they left in minigrad.backend; return it all."""
    modules, libraries = _loaded(), list(floor.gpu)
    for name in modules:
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if parent == "minigrad.backend":
            vars(floor).pop(child, None)
    for library in libraries:
        floor.backend.pop(library.array, None)
    floor.gpu.clear()
    floor.gpus.clear()
    return modules, libraries


def _put_back(modules, libraries):
    sys.modules.update(modules)
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent == "minigrad.backend":
            setattr(floor, child, module)
    for library in libraries:
        floor.backend[library.array] = library
        floor.gpu.append(library)
        if library.count > 1:
            floor.gpus.append(library)


@contextlib.contextmanager
def installed(devices=2):
    """The double in the place of CuPy. Gives the module fakecupy."""
    import fakecupy

    before = _take_out()
    if devices in _stash:
        _put_back(*_stash.pop(devices))
        fakecupy.install(devices=devices)
    else:
        fakecupy.install(devices=devices)
        floor.load_cuda()
    fakecupy.reset()
    try:
        yield fakecupy
    finally:
        _stash[devices] = _take_out()
        fakecupy.uninstall()
        _put_back(*before)
