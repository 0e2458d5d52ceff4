"""Writes fixtures/average.safetensors: means of tensors in float64, rounded once. Made with numpy 2.4.6, safetensors 0.8.0."""

import numpy as np
from safetensors.numpy import save_file

random = np.random.default_rng(7)
shares = np.array([3, 1, 4], dtype=np.float64)
shares = shares / shares.sum()
tensors = {}
for name, shape in {"matrix": (17, 23), "vector": (41,)}.items():
    sum_ = np.zeros(shape, dtype=np.float64)
    for which, share in zip("abc", shares):
        scale = np.exp(random.normal(0, 6, shape))
        values = (random.normal(size=shape) * scale).astype(np.float32)
        tensors[f"{which}/{name}"] = values
        sum_ += share * values.astype(np.float64)
    tensors[f"mean/{name}"] = sum_.astype(np.float32)
save_file(tensors, "fixtures/average.safetensors")
