"""What both examples share beside the training: options, messages, checkpoints, the picture of the learning curves."""

import argparse
import shlex
import sys
from pathlib import Path

import minigrad as mg

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
    from tqdm import tqdm
except ImportError as error:
    raise SystemExit(f'{error.name} is not installed: pip install -e ".[examples]"') from None

COLUMNS = ("loss", "accuracy", "test_loss", "test_accuracy")  # of the history: a list each, a number per epoch


def parser(name: str, description: str, epochs: int) -> argparse.ArgumentParser:
    """The options of both examples."""
    p = argparse.ArgumentParser(
        f"train_{name}.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--epochs", type=_integer_from(1), default=epochs, help=f"in all, default {epochs}")
    p.add_argument("--seed", type=_integer_from(0), help="of weights, order and dropout, default 0")
    p.add_argument("--device", default="auto", help='"cpu", "cuda" or "cuda:1"; default "auto": cuda if there is one')
    p.add_argument("--out", type=Path, default=Path("runs", name), help=f"folder of the results, default runs/{name}")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder of the results")
    p.add_argument("--smoke", action="store_true", help="a few images only: does everything run?")
    p.set_defaults(example=name)
    return p


def _integer_from(least):
    def integer(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text}")
        return int(text)

    return integer


def start(main, parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> None:
    """Call main(options). What the user can mend ends in a message without a traceback; Ctrl-C says how to go on."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if options.device == "auto":
            options.device = "cuda" if mg.cuda.is_available() else "cpu"
        options.device = mg.device(options.device)
        main(options)
    except (mg.DeviceError, mg.DataError, mg.StateError, OSError) as error:
        raise SystemExit(f"{parser.prog}: {error}") from None
    except KeyboardInterrupt:
        print("\nStopped.", _how_to_go_on(options, arguments), file=sys.stderr)
        raise SystemExit(130) from None


def _how_to_go_on(options, arguments):
    if not _checkpoint(options).exists():
        return "No epoch was complete, so there is nothing to go on from."
    words = ["python", sys.argv[0], *(word for word in arguments if word != "--resume"), "--resume"]
    return f"To go on from the last complete epoch: {shlex.join(words)}"


# --- checkpoints -------------------------------------------------------------------------------------------------


def _checkpoint(options):
    return options.out / "checkpoint.npz"


def save(options, model, optimizer, history, scaler=None) -> None:
    """Write all that the next epoch depends on. A broken attempt leaves the checkpoint before."""
    checkpoint = {
        "settings": {"example": options.example, "smoke": options.smoke, "seed": options.seed or 0},
        "epoch": len(history["loss"]),
        "history": history,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": mg.get_rng_state(),
    }
    if options.device.type == "cuda":  # dropout draws there
        checkpoint["random_there"] = mg.cuda.get_rng_state(options.device)
    if scaler is not None:
        checkpoint["settings"]["amp"], checkpoint["scaler"] = options.amp, scaler.state_dict()
    mg.save(checkpoint, _checkpoint(options))


def resume(options, model, optimizer, scaler=None) -> dict[str, list[float]]:
    """Set model, optimizer and random numbers to where the checkpoint left them. Returns the history until then.

    On another device than before it goes on as well, with the same numbers but for rounding and dropout.

    Raises: DataError if there is no checkpoint; StateError if it is of other settings, or has all epochs already.
    """
    path = _checkpoint(options)
    if not path.exists():
        raise mg.DataError(f"--resume: there is no {path}; begin without --resume, or name its folder with --out")
    checkpoint = mg.load(path)
    if not isinstance(checkpoint, dict) or not {"settings", "epoch", "history", "random"} <= checkpoint.keys():
        raise mg.DataError(f"--resume: {path} was not written by this example")
    for name, saved in checkpoint["settings"].items():
        asked = getattr(options, name, None)
        if asked is not None and asked != saved:
            raise mg.StateError(
                f"--resume: {path} was made with {name}={saved!r}, and this run has {name}={asked!r}; "
                "give the same, begin without --resume, or name another folder with --out"
            )
    if checkpoint["epoch"] >= options.epochs:
        raise mg.StateError(f"--resume: {path} has {checkpoint['epoch']} epochs already; ask for more with --epochs")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    mg.set_rng_state(checkpoint["random"])
    if options.device.type == "cuda" and "random_there" in checkpoint:
        mg.cuda.set_rng_state(checkpoint["random_there"], options.device)
    if scaler is not None:
        scaler.load_state_dict(checkpoint["scaler"])
    options.seed = checkpoint["settings"]["seed"]
    return checkpoint["history"]


# --- what is seen ------------------------------------------------------------------------------------------------


def report(history, tested: str) -> None:
    """Print the line of the last epoch, above the progress bar."""
    loss, accuracy, test_loss, test_accuracy = (history[column][-1] for column in COLUMNS)
    tqdm.write(
        f"epoch {len(history['loss']):2}: loss {loss:.4f}, accuracy {accuracy:.2%}; "
        f"{tested}: loss {test_loss:.4f}, accuracy {test_accuracy:.2%}"
    )


def draw(history, path: Path, title: str, tested: str) -> None:
    """Write the learning curves as a picture: the loss, and the share of wrong answers."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    figure.suptitle(title)
    epochs = range(1, len(history["loss"]) + 1)
    left, right = figure.subplots(1, 2)
    for prefix, label, style in (("", "training, with dropout", "C0o--"), ("test_", tested, "C1o-")):
        wrong = [100 * (1 - accuracy) for accuracy in history[prefix + "accuracy"]]
        left.plot(epochs, history[prefix + "loss"], style, markersize=4, label=label)
        right.plot(epochs, wrong, style, markersize=4, label=label, clip_on=False)
    left.set(yscale="log", ylabel="cross entropy (nats per image)")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_minor_locator(NullLocator())
    right.set_yscale("symlog", linthresh=1)  # linear up to 1 %: there may be no wrong answer at all
    right.set(ylim=(0, 100), yticks=(0, 0.5, 1, 2, 5, 10, 20, 50, 100), ylabel="wrong answers (% of images)")
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(0.5, len(epochs) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
