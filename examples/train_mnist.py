"""Train a LeNet with batch normalization and dropout on MNIST: 60 000 images of 28x28, and 10 000 to test it.

    python examples/train_mnist.py --data DIR                        3 epochs
    python examples/train_mnist.py --data DIR --resume --epochs 4    1 more
    python examples/train_mnist.py --data DIR --amp                  in mixed precision, on a GPU

DIR is the folder of the four MNIST files; with --download, those that are missing are fetched into it (11 MB).
The checkpoint and a picture of the learning curves come to lie in runs/mnist.
"""

import time

from _common import COLUMNS, draw, parser, report, resume, save, start
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.data import MNIST, DataLoader, Subset


class LeNet(nn.Module):
    """Pooling comes before batch normalization and ReLU, which then have a quarter of the work."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5),  # (n, 1, 28, 28) -> (n, 16, 24, 24)
            nn.MaxPool2d(2),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5),  # (n, 16, 12, 12) -> (n, 32, 8, 8)
            nn.MaxPool2d(2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(32 * 4 * 4, 128),
            nn.ReLU(),
            nn.Dropout(0.25),
            nn.Linear(128, 10),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def train(model, loader, optimizer, scaler, bar):
    """One epoch. Returns the mean loss and the accuracy, as they were while the model learned."""
    model.train()
    total_loss = correct = seen = 0
    for x, y in loader:
        optimizer.zero_grad()
        with mg.autocast(x.device.type, enabled=scaler.is_enabled()):
            scores = model(x)
            loss = F.cross_entropy(scores, y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

        total_loss += loss.detach() * len(y)
        correct += (scores.argmax(1) == y).sum()
        seen += len(y)
        if bar.update():  # it shows something: only then the host waits for the numbers
            bar.set_postfix_str(f"loss {total_loss.item() / seen:.4f}, accuracy {correct.item() / seen:.2%}")
    return total_loss.item() / seen, correct.item() / seen


def evaluate(model, loader):
    """The mean loss and the accuracy."""
    model.eval()
    total_loss = correct = seen = 0
    with mg.no_grad():
        for x, y in loader:
            scores = model(x)
            total_loss += F.cross_entropy(scores, y, reduction="sum")
            correct += (scores.argmax(1) == y).sum()
            seen += len(y)
    return total_loss.item() / seen, correct.item() / seen


def main(options):
    device = options.device
    if options.amp and device.type == "cpu":
        print("--amp on the CPU: float16 is slow there; it is meant for a GPU")
    mg.manual_seed(options.seed or 0)
    model = LeNet().to(device)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    scaler = mg.amp.GradScaler(device.type, enabled=options.amp)
    history = resume(options, model, optimizer, scaler) if options.resume else {column: [] for column in COLUMNS}

    train_set, test_set = (
        MNIST(options.data, train, options.download).as_tensors(mean=0.1307, std=0.3081) for train in (True, False)
    )
    if options.smoke:
        train_set, test_set = Subset(train_set, range(512)), Subset(test_set, range(128))
    train_loader = DataLoader(train_set, batch_size=128, shuffle=True, device=device)
    test_loader = DataLoader(test_set, batch_size=500, device=device)

    began, epochs = time.perf_counter(), range(len(history["loss"]), options.epochs)
    with tqdm(total=len(epochs) * len(train_loader), desc="training", unit="batch", disable=None) as bar:
        for _ in epochs:
            results = *train(model, train_loader, optimizer, scaler, bar), *evaluate(model, test_loader)
            for column, value in zip(COLUMNS, results, strict=True):
                history[column].append(value)
            for group in optimizer.param_groups:
                group["lr"] *= 0.3
            report(history, "test images")
            save(options, model, optimizer, history, scaler)

    picture = options.out / "curves.png"
    draw(history, picture, f"MNIST, seed {options.seed or 0}", "test images")
    seconds = time.perf_counter() - began
    right = f"{history['test_accuracy'][-1]:.2%}"
    print(f"{right} of the test images right, after {seconds:.1f} s on {device}; see {picture}")


def command_line():
    p = parser("mnist", __doc__, epochs=3)
    p.add_argument("--data", metavar="DIR", required=True, help="folder of the MNIST files, gzipped or not")
    p.add_argument("--download", action="store_true", help="fetch into DIR the files that are not there")
    p.add_argument("--amp", action="store_true", help="mixed precision: products in float16, for a GPU")
    return p


if __name__ == "__main__":
    start(main, command_line())
