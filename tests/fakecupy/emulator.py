"""Run the project's CUDA sources on the CPU: shim.h makes them C++, machine.h runs their threads as fibers.

    run(code, "softmax_forward<float>", (rows,), (128,), (x, y, np.int64(cols)), shared=0)

An array stands for a pointer, and must have the elements that the pointer's type says; a NumPy scalar, or a structured
array, stands for a value of exactly its size. The kernel sees copies between zones of NaN, so that what it reads and
writes beside its arguments shows. Blocks, and threads between barriers, run in an order drawn from
MINIGRAD_EMULATOR_SEED (0): a kernel whose result depends on it has a race. Not emulated: -ftz, fused multiply-add,
blocks that run at the same time, and anything about speed.
"""

import ctypes
import functools
import hashlib
import mmap
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
HEADERS = ("shim.h", "machine.h", "half.h")
FLAGS = "-std=c++17 -O1 -fPIC -shared -w -fno-strict-aliasing -ffp-contract=off -fvisibility=hidden".split()
FLAGS += ["-fsanitize=bounds", "-fsanitize-undefined-trap-on-error"]  # indices of local and shared arrays
FLAGS += ["-fstack-clash-protection", "-fno-delete-null-pointer-checks"]  # too large a stack, and NULL, are faults
MAX_THREADS, STACK_BYTES = 1024, 1 << 17
MAX_SHARED = 48 << 10  # what a launch may ask for without cudaFuncSetAttribute
ZONE = 8192  # bytes of NaN before and behind each argument
# The C types of CuPy's dtype names in an ElementwiseKernel.
CTYPES = {
    "bool": "bool", "float16": "float16", "float32": "float", "float64": "double",
    "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "unsigned long long",
}  # fmt: skip
_DTYPES = {c: np.dtype(name) for name, c in CTYPES.items()}


class CompileError(RuntimeError):
    """The C++ compiler refused a source; the message is its log."""


class KernelError(RuntimeError):
    """A kernel did what a device would answer with wrong numbers, a hang or an error: the message says what."""


# ---- compiling


@functools.cache
def _compiler() -> tuple[list[str], str] | None:
    """The command of a C++ compiler, and its version; None where there is none."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    for name in wanted:
        command = shlex.split(name)
        if shutil.which(command[0]):
            version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
            extra = [] if "clang" in version else ["-fno-gnu-unique"]  # see _load
            return [*command, *FLAGS, *extra], version
    return None


def available() -> bool:
    """True where CUDA sources can be run: on Linux, with a C++ compiler ($CXX, c++, g++ or clang++)."""
    return sys.platform == "linux" and _compiler() is not None


@functools.cache
def _folder() -> Path:
    """Where compiled sources are kept, by the contents of the shim and the compiler's version."""
    digest = hashlib.sha256(repr(_compiler()).encode())
    for header in HEADERS:
        digest.update((HERE / header).read_bytes())
    folder = Path(tempfile.gettempdir()) / f"minigrad-emulator-{os.getuid()}-{digest.hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # its contents are run
        raise PermissionError(f"{folder} belongs to somebody else: remove it, or set TMPDIR")
    return folder


def _load(text: str) -> ctypes.PyDLL:
    """The shared object of a C++ text, compiled unless it was before. PyDLL: launches hold the GIL, one at a time.

    -fno-gnu-unique: without it, two objects that define a kernel of one name would share its __shared__ variables.
    """
    if not available():
        raise CompileError("no C++ compiler was found: install g++ or clang++, or set CXX")
    folder = _folder()
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.so"
    if not path.exists():
        command, _ = _compiler()
        handle, made = tempfile.mkstemp(".so", dir=folder)
        os.close(handle)
        command = [*command, "-I", str(HERE), "-x", "c++", "-", "-o", made]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            os.unlink(made)
            raise CompileError(f"{shlex.join(command)}\n{done.stderr}")
        os.replace(made, path)  # at once, should another process have compiled the same
    return ctypes.PyDLL(str(path))


def _host_text(code: str) -> str:
    """The text of a CUDA source, with lines where they were: no CUDA headers, dynamic shared arrays as pointers."""
    code = re.sub(r'^[ \t]*#[ \t]*include[ \t]*[<"](cuda|cupy|cooperative_groups)[^\n]*', "", code, flags=re.MULTILINE)
    align = r"(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?"
    pattern = rf"extern\s+{align}__shared__\s+{align}([\w:<>\s]+?)\s*\b(\w+)\s*\[\s*\]\s*;"
    return re.sub(pattern, r"\1* \2 = reinterpret_cast<\1*>(emulator::dynamic_shared);", code)


class Kernel:
    """One instantiation: its launcher, and its parameters as shim.h describes them ("f4", "*f4", "*const:f4")."""

    def __init__(self, library, number, expression):
        library.emulator_signature.restype = ctypes.c_char_p
        self.launch, self.number, self.expression = library.emulator_launch, number, expression
        self.parameters = library.emulator_signature(number).decode().split()


_kernels: dict[tuple[str, str], Kernel] = {}


def compile(code: str, expressions) -> dict[str, Kernel]:
    """Build kernels of one source at once: their names, or instantiations of templates. Returns them by expression.

    Raises: CompileError with the compiler's log.
    """
    missing = [e for e in dict.fromkeys(expressions) if (code, e) not in _kernels]
    if missing:
        entries = "\n".join(f"    emulator::entry_of<&{e}>(&{e})," for e in missing)
        library = _load(
            f'#include "shim.h"\n#line 1 "kernel.cu"\n{_host_text(code)}\n#line 1 "expressions"\n'
            f"static const emulator::Entry emulator_entries[] = {{\n{entries}\n}};\n"
            "EMULATOR_EXPORT const char* emulator_signature(int i) { return emulator_entries[i].signature; }\n"
            "EMULATOR_EXPORT int emulator_launch(int i, emulator::Launch* launch) {\n"
            "    launch->kernel = emulator_entries[i].call;\n    return emulator::launch(*launch);\n}\n"
        )
        for number, expression in enumerate(missing):
            _kernels[code, expression] = Kernel(library, number, expression)
    return {e: _kernels[code, e] for e in expressions}


# ---- arguments


class _Launch(ctypes.Structure):  # struct Launch of machine.h
    _fields_ = [
        ("kernel", ctypes.c_void_p), ("args", ctypes.c_void_p),
        ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_size_t), ("seed", ctypes.c_uint64),
        ("stacks", ctypes.c_void_p), ("stack_bytes", ctypes.c_size_t), ("guard_bytes", ctypes.c_size_t),
        ("message", ctypes.c_char * 512),
    ]  # fmt: skip


@functools.cache
def _stacks():
    """Memory for the threads' stacks, and its address. A page below each is out of bounds: an overflow faults."""
    memory = mmap.mmap(-1, MAX_THREADS * STACK_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for i in range(MAX_THREADS):
        if protect(ctypes.c_void_p(start + i * STACK_BYTES), ctypes.c_size_t(mmap.PAGESIZE), 0):
            raise OSError(ctypes.get_errno(), "mprotect of a thread's stack")
    return memory, start


def _kind(dtype) -> str:
    return {"u": "i"}.get(dtype.kind, dtype.kind) + str(dtype.itemsize)


def _seed() -> int:
    return int(os.environ.get("MINIGRAD_EMULATOR_SEED", "0"))


def _address(array) -> int:
    return array.__array_interface__["data"][0]


def _as_value(arg):
    """What CuPy passes by value: its bytes and its kind."""
    if type(arg) is int:
        arg = np.int64(arg)
    elif type(arg) is float:
        arg = np.float64(arg)
    return (arg.tobytes(), _kind(arg.dtype)) if isinstance(arg, np.generic | np.ndarray) else (None, type(arg).__name__)


class _Copies:
    """Copies of a launch's arrays, each between zones of NaN. Arrays that overlap share one, as they share memory."""

    def __init__(self, name, arrays, written):
        """arrays: argument number -> array; written: the numbers of those that the kernel may write."""
        self.name, self.arrays, self.written = name, arrays, written
        self.extents = []  # [start, stop, argument numbers]
        for start, stop, i in sorted((*self._bounds(a), i) for i, a in arrays.items()):
            if self.extents and start < self.extents[-1][1]:
                self.extents[-1][1] = max(stop, self.extents[-1][1])
                self.extents[-1][2].append(i)
            else:
                self.extents.append([start, stop, [i]])
        room = sum(stop - start + 2 * ZONE + 64 for start, stop, _ in self.extents)
        self.memory = np.full(room, 0xFF, np.uint8)
        self.places, self.addresses, offset = [], {}, 0
        base = _address(self.memory)
        for start, stop, members in self.extents:
            offset += ZONE
            offset += (start - base - offset) % 64  # aligned as the original
            ctypes.memmove(base + offset, start, stop - start)
            self.places.append(offset)
            self.addresses.update((i, base + offset + _address(arrays[i]) - start) for i in members)
            offset += stop - start + ZONE

    @staticmethod
    def _bounds(array):
        if array.flags.forc or not array.size:
            return _address(array), _address(array) + array.nbytes
        return np.lib.array_utils.byte_bounds(array)

    def back(self):
        """Copy what was written to where it belongs.

        Raises: KernelError where something was written that does not belong to the arguments that may be written.
        """
        for place, (start, stop, members) in zip(self.places, self.extents, strict=True):
            end, base = place + stop - start, _address(self.memory)
            where = "argument " + " and ".join(map(str, members))
            if (self.memory[place - ZONE : place] != 0xFF).any():
                raise KernelError(f"{self.name} wrote before {where}")
            if (self.memory[end : end + ZONE] != 0xFF).any():
                raise KernelError(f"{self.name} wrote after {where}")
            if not self.written.isdisjoint(members):
                self._check_holes(place, start, stop, members)
                ctypes.memmove(start, base + place, stop - start)

    def _check_holes(self, place, start, stop, members):
        """Between a view's elements lies what belongs to others; and what NumPy may not write, a kernel may not."""
        writable = [self.arrays[i] for i in members if self.arrays[i].flags.writeable]
        if any(a.flags.forc and a.nbytes == stop - start for a in writable):
            return
        free = np.zeros(stop - start, bool)
        for a in writable:
            first = _address(a) - start
            view = np.ndarray((*a.shape, a.itemsize), bool, free, first, (*a.strides, 1))
            view[...] = True
        before = np.ctypeslib.as_array((ctypes.c_uint8 * (stop - start)).from_address(start))
        if ((before != self.memory[place : place + stop - start]) & ~free).any():
            raise KernelError(
                f"{self.name} wrote between the elements of argument {' and '.join(map(str, members))}, which is not "
                "contiguous, or is read-only: make it contiguous before the launch"
            )


def _three(name, what, numbers, limits):
    numbers = tuple(numbers) if isinstance(numbers, tuple | list) else (numbers,)
    numbers += (1,) * (3 - len(numbers))
    if len(numbers) != 3 or not all(1 <= n <= m for n, m in zip(numbers, limits, strict=True)):
        raise KernelError(
            f"{name}: {what} {numbers} is out of 1 to {limits}; CuPy makes 1 of 0: skip a launch that has nothing to do"
        )
    return numbers


# ---- running


def run(code: str, expression: str, grid, block, args, shared: int = 0) -> None:
    """Launch the kernel that `expression` names in the CUDA text `code`; the arrays among `args` are changed in place.

    Raises: CompileError; TypeError for an argument that is not what the parameter takes; KernelError where the kernel
    does what it must not, or the launch asks for more than a device has.
    """
    kernel = _kernels.get((code, expression)) or compile(code, [expression])[expression]
    grid = _three(expression, "grid", grid, (2**31 - 1, 65535, 65535))
    block = _three(expression, "block", block, (1024, 1024, 64))
    if block[0] * block[1] * block[2] > MAX_THREADS or not 0 <= shared <= MAX_SHARED:
        raise KernelError(f"{expression}: a block of {block} threads with {shared} bytes of shared memory is too large")
    if len(args) != len(kernel.parameters):
        raise TypeError(f"{expression} takes {len(kernel.parameters)} arguments, got {len(args)}")
    values, arrays, written = [b""] * len(args), {}, set()
    for i, (arg, parameter) in enumerate(zip(args, kernel.parameters, strict=True)):
        const, element = parameter.startswith("*const:"), parameter.rpartition(":")[2].lstrip("*")
        is_array = isinstance(arg, np.ndarray) and arg.dtype.kind != "V"
        if parameter[0] == "*" and is_array and element in ("v0", _kind(arg.dtype)):
            arrays[i] = arg
            if not const:
                written.add(i)
            continue
        value, kind = (None, _kind(arg.dtype) + "[]") if is_array else _as_value(arg)
        if value is None or kind != ("i8" if parameter[0] == "*" else parameter):
            raise TypeError(
                f"{expression}: argument {i} is {kind}, the parameter {parameter} (kind and bytes; * a pointer, V a "
                f"struct): pass {'an array' if parameter[0] == '*' else 'a NumPy scalar or struct'} of just that type"
            )
        values[i] = value
    copies = _Copies(expression, arrays, written)
    for i, address in copies.addresses.items():
        values[i] = address.to_bytes(8, sys.byteorder)
    offsets = np.cumsum([0] + [-(-len(v) // 16) * 16 for v in values])
    slots = np.zeros(int(offsets[-1]) + 16, np.uint8)
    for offset, value in zip(offsets, values, strict=False):
        slots[offset : offset + len(value)] = np.frombuffer(value, np.uint8)
    table = (offsets[:-1] + _address(slots)).astype(np.uintp)
    launch = _Launch(0, _address(table), grid, block, shared, _seed(), _stacks()[1], STACK_BYTES, mmap.PAGESIZE)
    if kernel.launch(kernel.number, ctypes.byref(launch)):
        raise KernelError(f"{expression}: {launch.message.decode()}")
    copies.back()


_elementwise: dict[tuple, tuple] = {}


def elementwise(params, operation: str, preamble: str, ctypes_of: dict, arrays, n: int | None = None) -> None:
    """Run the operation of a cupy.ElementwiseKernel for i = 0 ... n - 1.

    Args: params: (type, name, is output, is raw) of each; a type is a key of `ctypes_of`, or a dtype's name.
        arrays: one for each of params: a contiguous array, of n elements unless raw, or a NumPy scalar.
        n: by default the length of the arrays that are not raw.
    """
    key = (tuple(map(tuple, params)), operation, preamble, tuple(ctypes_of.items()), tuple(map(np.ndim, arrays)))
    if key not in _elementwise:
        _elementwise[key] = _build_elementwise(*key)
    function, types = _elementwise[key]
    addresses, sizes, keep = np.zeros(len(types), np.uintp), np.zeros(len(types), np.int64), []
    for i, ((_, name, is_output, raw), dtype, x) in enumerate(zip(params, types, arrays, strict=True)):
        if not isinstance(x, np.ndarray | np.generic) or x.dtype != dtype or (x.ndim and not x.flags.c_contiguous):
            raise TypeError(f"elementwise kernel: {name} takes contiguous {dtype}, got {getattr(x, 'dtype', type(x))}")
        if is_output and not (isinstance(x, np.ndarray) and x.flags.writeable):
            raise TypeError(f"elementwise kernel: the output {name} is a number, or a read-only array")
        if x.ndim and not raw:
            n = x.size if n is None else n
            if x.size != n:
                raise TypeError(f"elementwise kernel: {name} has {x.size} elements, the others {n}")
        keep.append(x if isinstance(x, np.ndarray) else np.array(x))
        addresses[i], sizes[i] = _address(keep[-1]), x.size
    if n is None:
        raise TypeError("elementwise kernel: no argument tells how many elements there are: pass n")
    launch = _Launch(seed=_seed())
    if function(_address(addresses), _address(sizes), n, ctypes.byref(launch)):
        raise KernelError(f"elementwise kernel: {launch.message.decode()}\n{operation}")


def _build_elementwise(params, operation, preamble, ctypes_of, ndims):
    """(the compiled function, the dtype of each parameter)."""
    letters = {letter: CTYPES.get(c, c) for letter, c in ctypes_of}
    types, before, inside = [], [], []
    for i, ((kind, name, is_output, raw), ndim) in enumerate(zip(params, ndims, strict=True)):
        c = letters.get(kind) or CTYPES[kind]
        types.append(_DTYPES[c])
        pointer = f"reinterpret_cast<{'' if is_output else 'const '}{c}*>(arrays[{i}])"
        const = "" if is_output else "const "
        if raw:
            before.append(f'const emulator::Raw<{const}{c}> {name} = {{"{name}", {pointer}, sizes[{i}]}};')
        else:
            inside.append(f"{const}{c}& {name} = {pointer}[{'i' if ndim else 0}];")
    typedefs = "\n".join(f"typedef {c} {letter};" for letter, c in letters.items())
    text = (
        f'#include "shim.h"\n{typedefs}\n#line 1 "preamble"\n{_host_text(preamble)}\n'
        "EMULATOR_EXPORT int emulator_elementwise(char** arrays, const ptrdiff_t* sizes, ptrdiff_t n, "
        "emulator::Launch* launch) {\n"
        f"emulator::Index _ind = {{n}};\n{' '.join(before)}\n"
        "return emulator::guarded(*launch, [&] {\n"
        "for (ptrdiff_t k = 0; k < n; k++) {\nptrdiff_t i = launch->seed & 1 ? n - 1 - k : k;\n"
        f'{" ".join(inside)}\n#line 1 "operation"\n{_host_text(operation)};\n}}\n}});\n}}\n'
    )
    function = _load(text).emulator_elementwise
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p]
    return function, types
