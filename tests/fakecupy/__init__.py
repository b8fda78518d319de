"""A strict double of CuPy, for machines without a GPU: NumPy's numbers, CuPy's names, refusals and surprises.

    fakecupy.install(devices=2)     # `import cupy` now finds the double
    ...
    fakecupy.uninstall()

What it refuses, as CuPy does: host arrays and lists beside device arrays; conversion to NumPy but by get(); names and
arguments that CuPy lacks (api.json, which tools/snapshot_cupy_api.py writes from the real one); memory that is not
there. What it refuses, where CuPy goes on slowly or wrongly: NumPy's functions on device arrays; host arrays as
indices; arrays of a device that is not the current one; writes into arrays whose elements share memory; use of an
array that another stream still writes. Memory that nobody wrote is NaN, and what CuPy leaves to chance is drawn.

`synchronizations` lists where the host waited for a device, `wrapped` where an index array went out of range. Raw and
elementwise kernels are run by `emulator`. `tests/` alone can import it; it is never called cupy outside of install.
"""

from .modules import install as install
from .modules import reset as reset
from .modules import uninstall as uninstall
from .records import synchronizations as synchronizations
from .records import wrapped as wrapped
