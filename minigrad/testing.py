"""For tests of what is built with minigrad."""

from .gradcheck import gradcheck


def assert_gradcheck(fn, *inputs, **options):
    """`gradcheck` as an assertion: fails with the whole report as its message.

    Args, Raises: as gradcheck; GradientError, an AssertionError, if the verdict is not "right".
    Returns:      the Report.
    """
    return gradcheck(fn, *inputs, **options).raise_()
