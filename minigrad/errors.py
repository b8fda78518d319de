"""The exceptions of minigrad. Each is also the builtin that a reader would expect to catch."""


class MinigradError(Exception):
    """Base of every error that minigrad raises on purpose."""


class ShapeError(MinigradError, ValueError):
    """Shapes that do not fit: names the operation, what it expected and what came."""


class DTypeError(MinigradError, TypeError):
    """A dtype that an operation cannot take, with the conversion to write instead."""


class IndexRangeError(MinigradError, IndexError):
    """An index or a class label outside of its range."""


class GraphError(MinigradError, RuntimeError):
    """The tape cannot do what was asked: freed, overwritten, not recorded."""


class AnomalyError(MinigradError, RuntimeError):
    """A NaN or an infinity was born: `mg.detect_anomaly` looks for them."""


class DeviceError(MinigradError, RuntimeError):
    """A device that is not there, or arrays of two devices in one operation."""


class OutOfMemoryError(MinigradError, MemoryError):
    """Memory, the host's or a GPU's, for which an operation asked in vain."""


class StateError(MinigradError, ValueError):
    """A state_dict or a checkpoint that does not fit its receiver. Nothing was changed."""


class DataError(MinigradError, RuntimeError):
    """A data file that is missing, truncated or not what its name says."""
