"""Switching the strict double of CuPy (tests/fakecupy) on and off: minigrad finds two GPUs where there are none."""

import contextlib
import sys

import minigrad as mg
import minigrad.backend as floor

OURS = ("minigrad.backend.cuda", "minigrad.backend.kernels", "minigrad.backend.prefetch")
# Left out with --on-gpu: files and tests whose own constants are NumPy arrays, or which are about the host's memory.
HOST = set(
    """
    test_a_constant_gradient_is_a_variable_under_create_graph_too test_a_failed_write_changes_nothing
    test_a_gradient_without_a_history_is_caught_beside_others_that_have_one test_a_list_of_variables
    test_a_result_that_is_a_number_becomes_an_array test_a_state_goes_from_net_to_net
    test_an_instance_is_one_node test_backward_of_a_leaf
    test_batch_norm_without_statistics_normalizes_in_evaluation_too test_conversion_keeps_the_parameters
    test_cuda_without_a_device test_cuda_without_cupy test_deepcopy_is_independent
    test_dropout_is_noise_in_training_and_nothing_in_evaluation test_fill_and_draw test_getitem test_grad
    test_gradient_argument test_gradients_accumulate_into_what_the_user_put_there
    test_gradients_of_broadcast_operands test_gradients_to_third_order test_hidden_arrays_are_found
    test_layers_begin_as_in_torch test_leaves_and_their_views_are_not_written test_linear_is_a_product
    test_loader_without_a_gpu_says_that_it_pins_no_memory
    test_loading_reports_everything_at_once_and_changes_nothing test_loading_takes_arrays_and_keeps_the_dtype
    test_losses_and_layers_keep_float32 test_misshapen_entries_are_refused_even_if_not_strict
    test_nor_in_place test_nothing_is_changed test_nothing_is_recorded test_nothing_weaker_changes_a_float
    test_off_operations_go_the_straight_way test_the_line_that_overwrote_is_told_where_it_was_noted
    test_outputs_of_integers_have_no_gradient test_overlapping_parts test_overwritten_values_are_noticed
    test_padding_modes_extend_the_image test_random_programs_are_right_or_refused test_raw_writes_are_not_seen
    test_read_only_memory_is_refused_before_anything_changes test_refusals test_requires_grad_and_zero_grad
    test_residuals_beside_any_number_of_inputs test_right_gradients_pass test_running_statistics
    test_sequential_runs_in_order test_setitem test_statistics_that_are_no_longer_tracked_stay_as_they_are
    test_take_along_dim test_the_offset_of_a_distribution test_the_same_weights_in_every_dtype
    test_the_statistics_are_in_the_state_and_move_along test_unusual_indices
    test_updates_rebind_on_the_tape_and_write_off_it test_what_data_becomes test_what_is_no_numbers_is_refused
    test_what_is_not_saved_may_be_overwritten test_wrong_gradients_are_caught
    test_wrong_second_derivatives_are_caught test_zero_grad_clears_nan
    test_numpy_interop test_amp test_scaler test_clip test_memory test_device test_device_corners test_devices
    test_training_there test_kernels test_prefetch test_fakecupy test_fakecupy_devices test_fakecupy_numbers
    test_emulator test_emulator_numbers test_gpu_page test_gpu_benchmark test_examples test_mnist test_info
    test_architecture test_conftest test_cuda_missing
    test_mutations_are_caught_and_their_originals_are_not test_mutations_in_the_middle_of_a_network_are_caught
    test_bisection_names_one_element_of_4096 test_full_mode_names_every_element test_a_jump
    test_a_wrong_gradient_beside_a_kink_is_wrong test_what_only_a_variant_shows
    test_shapes_that_a_function_refuses_are_left_out test_equal_errors_do_not_cancel
    test_modules_are_found_however_they_are_held test_a_module_as_an_input test_autocast_has_in_float32
    test_autocast_takes_them_to_float32 test_equal_elements_keep_their_order test_running_products_of_any_length
    test_births test_backward_of_several test_what_gradcheck_blames_is_marked
    """.split()
)

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
        floor.detours.remove(library.array)
    floor.gpu.clear()
    floor.many_gpus.clear()
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
        floor.detours.append(library.array)
        if library.count > 1:
            floor.many_gpus.append(library)


@contextlib.contextmanager
def absent():
    """As if CuPy were not installed."""
    before = _take_out()
    sys.modules["cupy"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["cupy"]
        _put_back(*before)


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


def reading(compare):
    """A comparison of np.testing that reads from the device what lies there."""

    def host(x):
        if isinstance(x, mg.Variable):
            return x.numpy(force=True)
        if isinstance(x, list | tuple):
            return [host(y) for y in x]
        return x.get() if hasattr(x, "get") and hasattr(x, "dtype") else x

    return lambda a, b, *args, **options: compare(host(a), host(b), *args, **options)
