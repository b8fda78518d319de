"""Compile every CUDA kernel of minigrad with NVRTC, as CuPy would, on a machine without a GPU.

    python tools/compile_kernels.py [--arch sm_90]      one line per kernel and type: registers, shared memory, spills
    python tools/compile_kernels.py --check-names       every name of CuPy's that the backend mentions exists

Needs minigrad, CuPy, and the packages nvidia-cuda-nvrtc and nvidia-cuda-runtime (NVRTC and the CUDA headers). Exits
with 1 and the compiler's log where a kernel does not compile, or with the names that CuPy lacks; with 2 without CuPy.

CuPy's public functions ask for a device; the private ones beneath do not. They are those of CuPy 14.2.
"""

import argparse
import ast
import importlib
import re
import sys
from pathlib import Path

import numpy as np

try:
    import cupy
    from cupy._core import _carray, _kernel, core
    from cupy.cuda.compiler import CompileException, _NVRTCProgram

    import minigrad
    from minigrad.backend import kernels
    from minigrad.backend.kernels import elementwise
except ModuleNotFoundError as error:
    packages = "-e . cupy-cuda13x nvidia-cuda-nvrtc nvidia-cuda-runtime"
    print(f"compile_kernels.py: {error.name} is not installed: pip install {packages}", file=sys.stderr)
    sys.exit(2)

FLOATS = ("float16", "float32", "float64")
_NDARRAY, _INDEXER, _SCALAR = 1, 2, 3  # kinds of cupy._core._kernel._ArgInfo


# ---- compiling


class _Log(list):
    write = list.append


def compile_source(code, expressions=(), options=(), arch="sm_90") -> dict[str, str]:
    """Compile as cupy.RawModule does. Returns kernel -> what ptxas says about it.

    Raises: CompileException with the compiler's log.
    """
    options = core.assemble_cupy_compiler_options(tuple(options))
    options += ("-ftz=true", "--device-as-default-execution-space", f"-arch={arch}", "--ptxas-options=-v")
    log = _Log()
    program = _NVRTCProgram(code, "kernel.cu", name_expressions=list(expressions) or None, method="cubin")
    cubin, names = program.compile(options, log)
    if not cubin.startswith(b"\x7fELF"):
        raise RuntimeError(f"NVRTC made no cubin for {arch}: pass an architecture such as sm_90, not compute_90")
    found = dict(re.findall(r"Compiling entry function '(\w+)'[^\0]*?\n[^\n]*Used ([^\n]*)", "".join(log)))
    return {expression: found[lowered] for expression, lowered in (names or {n: n for n in found}).items()}


def elementwise_source(kernel, dtype) -> str:
    """The CUDA code that a cupy.ElementwiseKernel becomes.

    Type letters are `dtype`; an input that has a type of its own, and is not raw, is a number.
    """
    params = (*kernel.in_params, *kernel.out_params)
    wanted = [np.dtype(dtype if p.dtype is None else p.dtype) for p in params]
    inputs, outputs, types = kernel._decide_params_type(tuple(wanted[: kernel.nin]), tuple(wanted[kernel.nin :]))
    infos = [
        _kernel._ArgInfo(_SCALAR, t.type, t, 0, True, True)
        if i < kernel.nin and p.dtype is not None and not p.raw
        else _kernel._ArgInfo(_NDARRAY, cupy.ndarray, t, 1, True, True)
        for i, (p, t) in enumerate(zip(params, (*inputs, *outputs), strict=True))
    ]
    infos.append(_kernel._ArgInfo(_INDEXER, _carray.Indexer, None, 1, True, True))
    headers = "".join(f"#include <{name}>\n" for name in core._cupy_header_list)
    return headers + _kernel._get_elementwise_kernel_code(
        tuple(infos), types, kernel.params, kernel.operation, kernel.name, kernel.preamble, **kernel.kwargs
    )


def raw_kernels():
    """(source, types, its code, the expressions of all its kernels) for each module that minigrad builds."""
    there = {path.stem for path in Path(kernels.__file__).parent.glob("*.cu")}
    if there != set(kernels.SOURCES):
        raise RuntimeError(
            f"backend/kernels: the *.cu files are {sorted(there)}, SOURCES has {sorted(kernels.SOURCES)}"
        )
    for source, (names, types) in kernels.SOURCES.items():
        code = kernels.text(source)
        defined = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(", code)
        if sorted(defined) != sorted(names):
            raise RuntimeError(f"{source}.cu defines the kernels {sorted(defined)}, SOURCES has {sorted(names)}")
        for kind in types:
            yield source, kind, code, [f"{name}<{kind}>" for name in names]


def elementwise_kernels():
    """Each cupy.ElementwiseKernel of backend/kernels/elementwise.py."""
    return [kernel for pair in elementwise.kernels().values() for kernel in pair if kernel is not None]


def compile_all(arch):
    """(kernel, type, ptxas's line or None, the log of what was refused or None) of each, as it is compiled."""
    for source, kind, code, expressions in raw_kernels():
        try:
            done = compile_source(code, expressions, kernels.OPTIONS, arch)
            yield from ((f"{source}: {expression}", kind, line, None) for expression, line in done.items())
        except CompileException as error:
            yield source, kind, None, error.get_message()
    for kernel in elementwise_kernels():
        for dtype in FLOATS:
            try:
                (line,) = compile_source(elementwise_source(kernel, dtype), arch=arch).values()
                yield f"elementwise: {kernel.name}", dtype, line, None
            except CompileException as error:
                yield f"elementwise: {kernel.name}", dtype, None, error.get_message()


# ---- names


def _chain(node):
    """The dotted name that an expression is, as a list; None if it is none."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


def mentioned_names(text) -> list[tuple[int, str]]:
    """(line, name) of every name below cupy and cupyx that a Python text mentions, as the longest dotted name.

    Other names for modules are followed: `import cupy.x as y`, `from cupy import x`, `y = cupy.x`.
    """
    found, aliases, inner = set(), {}, set()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in ("cupy", "cupyx"):
                    found.add((node.lineno, alias.name))
                    name = alias.name if alias.asname else alias.name.split(".")[0]
                    aliases[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("cupy", "cupyx"):
            for alias in node.names:
                found.add((node.lineno, f"{node.module}.{alias.name}"))
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            chain = _chain(node.value)
            if chain and chain[0] in aliases:
                aliases[node.targets[0].id] = ".".join([aliases[chain[0]], *chain[1:]])
    for node in ast.walk(tree):  # an attribute comes before those that it is made of
        if isinstance(node, ast.Attribute):
            if node not in inner and (chain := _chain(node)) and chain[0] in aliases:
                found.add((node.lineno, ".".join([aliases[chain[0]], *chain[1:]])))
            inner.add(node.value)
    return sorted(found)


def missing_part(name) -> str | None:
    """What of a dotted name does not exist; None if all of it does."""
    module, *rest = name.split(".")
    place, known = importlib.import_module(module), module
    for part in rest:
        known += f".{part}"
        try:
            place = getattr(place, part)
        except AttributeError:
            try:
                place = importlib.import_module(known)
            except ModuleNotFoundError:
                return known
        except ImportError:  # CuPy has the name; the library that it loads for it, as cuBLAS, need not be here
            return None
    return None


def check_names():
    """(file, line, name) of what minigrad/backend mentions and this CuPy lacks; and how many names there are."""
    lacking, count = [], 0
    for path in sorted((Path(minigrad.__file__).parent / "backend").rglob("*.py")):
        for line, name in mentioned_names(path.read_text()):
            count += 1
            if missing_part(name):
                lacking.append((path, line, name))
    return lacking, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="sm_90", help="of the GPU (sm_90: H100, H200)")
    parser.add_argument("--check-names", action="store_true", help="check names of CuPy's instead of compiling")
    args = parser.parse_args()
    if args.check_names:
        lacking, count = check_names()
        for path, line, name in lacking:
            print(f"{path}:{line}: CuPy {cupy.__version__} has no {name}")
        print(f"{count} names of CuPy {cupy.__version__}, {len(lacking)} missing")
        return bool(lacking)
    compiled, refused = 0, []
    for kernel, kind, line, log in compile_all(args.arch):
        print(f"{kernel:48} {kind:8} {line or 'REFUSED'}", flush=True)
        compiled += log is None
        if log is not None:
            refused.append(f"{kernel} for {kind}:\n{log}")
    print(f"{compiled} compiled for {args.arch} by NVRTC {cupy.cuda.nvrtc.getVersion()}, {len(refused)} refused")
    print("\n".join(refused), end="", file=sys.stderr)
    return bool(refused)


if __name__ == "__main__":
    sys.exit(main())
