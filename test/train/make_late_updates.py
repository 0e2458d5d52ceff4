"""Updates of PyTorch's AdamW of parameters that come late, or rest meanwhile: late-updates.json.

AdamW keeps a count of updates for each parameter, begins it when it first has a gradient, and leaves what has none as it is,
weight decay included. It scales weight decay by the learning rate, and big_vision does not: a group's weight decay is divided
by it. Double precision. Made with torch 2.15.0 and numpy 2.4.6:

    python make_late_updates.py fixtures
"""

import json
import pathlib
import sys

import numpy as np
import torch

LEARNING_RATE, WEIGHT_DECAY, BETAS, EPSILON, CLIP = 0.03, 0.02, (0.9, 0.999), 1e-8, 1.0
SCHEDULE = [0.25, 0.5, 1, 1, 0.75, 0.75, 0.5, 0.4, 0.1]
# Which steps a parameter has gradients at. The table has three rows, and five from the fourth step on.
SHAPES = dict(kernel=(2, 3), bias=(3,), late=(2, 2), resting=(2, 2), old_rows=(3, 2), new_rows=(2, 2))
STEPS = dict(late=range(4, 10), resting=[1, 2, 3, 7, 8, 9], new_rows=range(4, 10))
DECAYED = {"kernel", "late", "resting"}


def main(folder):
    random = np.random.default_rng(7)
    start = {name: random.normal(size=shape) for name, shape in SHAPES.items()}
    parameters = {name: torch.tensor(values, requires_grad=True) for name, values in start.items()}
    groups = [
        dict(params=[p], lr=LEARNING_RATE, decay=WEIGHT_DECAY if name in DECAYED else 0.0) for name, p in parameters.items()
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, eps=EPSILON)
    steps = []
    for step, schedule in enumerate(SCHEDULE, 1):
        scale = [3, 0.05, 1][step % 3]
        raw = {name: random.normal(size=shape) * scale for name, shape in SHAPES.items() if step in STEPS.get(name, [step])}
        norm = np.sqrt(sum((g**2).sum() for g in raw.values()))
        for name, p in parameters.items():
            p.grad = torch.tensor(raw[name] * min(1.0, CLIP / norm)) if name in raw else None
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * schedule
            group["weight_decay"] = group["decay"] / LEARNING_RATE
        optimizer.step()
        after = {name: p.detach().flatten().tolist() for name, p in parameters.items()}
        counts = {name: int(optimizer.state[p]["step"]) if p in optimizer.state else 0 for name, p in parameters.items()}
        steps.append(dict(gradients={n: g.flatten().tolist() for n, g in raw.items()}, after=after, counts=counts))
    facts = dict(torch=torch.__version__, schedule=SCHEDULE, start={n: v.flatten().tolist() for n, v in start.items()}, steps=steps)
    (pathlib.Path(folder) / "late-updates.json").write_text(json.dumps(facts) + "\n")


main(sys.argv[1])
