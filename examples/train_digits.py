"""Train a small convolutional network on the digits that come with minigrad: 1437 images of 8x8, and 360 to test it.

    python examples/train_digits.py                         20 epochs
    python examples/train_digits.py --resume --epochs 30    10 more

The checkpoint and a picture of the learning curves come to lie in runs/digits.
"""

import time

from _common import COLUMNS, draw, parser, report, resume, save, start
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.data import DataLoader, Subset, load_digits


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),  # (n, 1, 8, 8) -> (n, 32, 8, 8)
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),  # (n, 32, 4, 4) -> (n, 64, 4, 4)
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 2 * 2, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def train(model, loader, optimizer, bar):
    """One epoch. Returns the mean loss and the accuracy, as they were while the model learned."""
    model.train()
    total_loss = correct = seen = 0
    for x, y in loader:
        optimizer.zero_grad()
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()

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
    mg.manual_seed(options.seed or 0)
    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    history = resume(options, model, optimizer) if options.resume else {column: [] for column in COLUMNS}

    train_set, test_set = load_digits(train=True), load_digits(train=False)
    if options.smoke:
        train_set = Subset(train_set, range(256))
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True, device=device)
    test_loader = DataLoader(test_set, batch_size=360, device=device)

    began, epochs = time.perf_counter(), range(len(history["loss"]), options.epochs)
    with tqdm(total=len(epochs) * len(train_loader), desc="training", unit="batch", disable=None) as bar:
        for _ in epochs:
            results = *train(model, train_loader, optimizer, bar), *evaluate(model, test_loader)
            for column, value in zip(COLUMNS, results, strict=True):
                history[column].append(value)
            for group in optimizer.param_groups:
                group["lr"] *= 0.9
            report(history, "held-back digits")
            save(options, model, optimizer, history)

    picture = options.out / "curves.png"
    draw(history, picture, f"Digits of 8x8, seed {options.seed or 0}", "held-back digits")
    seconds = time.perf_counter() - began
    right = f"{history['test_accuracy'][-1]:.2%}"
    print(f"{right} of the held-back digits right, after {seconds:.1f} s on {device}; see {picture}")


def command_line():
    return parser("digits", __doc__, epochs=20)


if __name__ == "__main__":
    start(main, command_line())
