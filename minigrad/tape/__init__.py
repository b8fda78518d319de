"""The tape: a Variable holds an array, a Function is one operation, and a Function that ran is one node.

    x = Variable(3.0, requires_grad=True)
    y = x * x            # Mul()(x, x): computes, and remembers who made y from what
    y.backward()         # walks the nodes from y back to the leaves: x.grad is 6.0

Read in this order: variable.py (what is computed with), function.py (an operation, and how it is recorded),
engine.py (how gradients flow back), arrival.py (where they arrive). modes.py switches recording off and on; versions.py
knows what was overwritten, history.py what lies behind a result; observers.py, provenance.py and anomaly.py are for
debugging, and off the straight way.
"""

from .anomaly import detect_anomaly as detect_anomaly
from .anomaly import is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled
from .anomaly import is_anomaly_enabled as is_anomaly_enabled
from .anomaly import set_detect_anomaly as set_detect_anomaly
from .engine import backward as backward
from .engine import grad as grad
from .function import Function as Function
from .modes import enable_grad as enable_grad
from .modes import is_grad_enabled as is_grad_enabled
from .modes import no_grad as no_grad
from .modes import set_grad_enabled as set_grad_enabled
from .variable import Variable as Variable
from .variable import as_array as as_array
from .variable import raw as raw
from .writing import assign as assign
from .writing import check_writable as check_writable
from .writing import write as write
from .writing import wrote as wrote
