"""Twenty steps of PyTorch with a moving average of the weights, as torch.optim.swa_utils keeps one.

The model, its steps and its batches are those of make_tuning_fixtures.py, in double precision. AveragedModel copies the weights
at its first update; here it begins with those before the first step, so that update counts as made. Run with the versions of
requirements-tuning.txt; it makes the files of make_tuning_fixtures.py again, too:

    pip install -r test/parity/requirements-tuning.txt
    python test/parity/make_ema_fixtures.py test/parity/fixtures
    npm run format
"""

import numpy as np
import torch
from make_tuning_fixtures import BATCH, FOLDER, OPTIMIZER, STEPS, build, factor_at, inputs, is_kernel
from safetensors.numpy import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

DECAY = 0.9


def warmed(average, weights, updates):
    """As TensorFlow's ExponentialMovingAverage: updates are those before this one, and the start counts as one here."""
    decay = torch.minimum(torch.tensor(DECAY, dtype=torch.float64), (1 + updates.double()) / (10 + updates.double()))
    torch._foreach_lerp_(average, weights, (1 - decay).item())


def averages(multi_avg_fn):
    """Of each parameter after the last step."""
    o = OPTIMIZER
    model = build()
    groups = [
        dict(params=[p], weight_decay=o["weightDecay"] / o["learningRate"] if is_kernel(name, p) else 0.0)
        for name, p in model.named_parameters()
    ]
    optimizer = torch.optim.AdamW(groups, lr=o["learningRate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
    average = AveragedModel(model, multi_avg_fn=multi_avg_fn)
    average.n_averaged.fill_(1)
    for step in range(STEPS):
        optimizer.zero_grad()
        model(**inputs(step), return_loss=True).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), o["clipNorm"])
        for group in optimizer.param_groups:
            group["lr"] = o["learningRate"] * factor_at(step * BATCH)
        optimizer.step()
        average.update_parameters(model)
    return {name: p.detach().numpy() for name, p in average.module.named_parameters()}


TENSORS = {
    f"{kind}/{name}": np.ascontiguousarray(value.astype(np.float32))
    for kind, fn in (("fixed", get_ema_multi_avg_fn(DECAY)), ("warmed", warmed))
    for name, value in averages(fn).items()
}
save_file(TENSORS, FOLDER / "ema.safetensors", metadata=dict(decay=str(DECAY)))
