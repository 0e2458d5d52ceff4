"""Reference numbers for the NaFlex tower: transformers' Siglip2Model and torch's autograd, in double precision.

Run with the versions of requirements.txt:

    python test/parity/make_naflex_fixtures.py test/parity/fixtures
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import Siglip2Config, Siglip2Model

# The grid of position embeddings is the paper's, 16 x 16.
VISION = dict(width=12, depth=2, mlp=20, heads=3, patch=2, resolution=32, kind="naflex")
TEXT = dict(width=12, depth=1, mlp=20, heads=3, length=5, vocabulary=30)
LENGTH = 36
# No image is one patch wide and several high: there torch's antialiased interpolation on CPUs repeats the first row.
# In patches: wide, tall (more rows than the grid has), square and full, square and padded, a single patch.
SHAPES = [(2, 17), (18, 2), (6, 6), (4, 4), (1, 1)]


def tower(size):
    return dict(
        hidden_size=size["width"],
        intermediate_size=size["mlp"],
        num_hidden_layers=size["depth"],
        num_attention_heads=size["heads"],
        hidden_act="gelu_pytorch_tanh",
        layer_norm_eps=1e-6,
        attention_dropout=0.0,
    )


def build(random):
    config = Siglip2Config(
        text_config=dict(
            **tower(TEXT),
            vocab_size=TEXT["vocabulary"],
            max_position_embeddings=TEXT["length"],
            projection_size=VISION["width"],
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        ),
        vision_config=dict(
            **tower(VISION), num_patches=(VISION["resolution"] // VISION["patch"]) ** 2, patch_size=VISION["patch"]
        ),
    )
    # Eager attention rounds its softmax to single precision; this one keeps to double.
    config._attn_implementation = "sdpa"
    model = Siglip2Model(config).double().eval()
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            # Nothing may stay at 0 or 1, where a missing bias or scale would not be seen.
            noise = random.normal(size=tuple(parameter.shape))
            if name == "logit_scale":
                value = np.array([math.log(6.0)])
            elif name == "logit_bias":
                value = np.array([-1.25])
            elif "norm" in name and name.endswith("weight"):
                value = 1 + 0.2 * noise
            elif parameter.ndim == 1:
                value = 0.2 * noise
            elif "position_embedding" in name:
                value = noise
            else:
                value = noise / math.sqrt(parameter.shape[-1])
            # Float32 is what is stored: the reference starts from exactly those numbers.
            parameter.copy_(torch.from_numpy(value.astype(np.float32).astype(np.float64)).reshape(parameter.shape))
    return model


def main(folder):
    random = np.random.default_rng(20250222)
    model = build(random)
    size = 3 * VISION["patch"] ** 2
    bytes_ = random.integers(0, 256, (len(SHAPES), LENGTH, size), dtype=np.uint8)
    mask = np.array([[int(i < h * w) for i in range(LENGTH)] for h, w in SHAPES], dtype=np.int32)
    tokens = random.integers(0, TEXT["vocabulary"], (len(SHAPES), TEXT["length"]), dtype=np.int32)
    out = model(
        input_ids=torch.from_numpy(tokens.astype(np.int64)),
        pixel_values=torch.from_numpy((bytes_ / 127.5 - 1) * mask[:, :, None]),
        pixel_attention_mask=torch.from_numpy(mask),
        spatial_shapes=torch.tensor(SHAPES),
        return_loss=True,
    )
    out.loss.backward()
    grid = VISION["resolution"] // VISION["patch"]
    table = model.vision_model.embeddings.position_embedding.weight.detach().reshape(grid, grid, -1)
    positions = model.vision_model.embeddings.resize_positional_embeddings(table, torch.tensor(SHAPES), LENGTH)

    tensors = {
        "patches": bytes_,
        "mask": mask,
        "spatialShapes": np.array(SHAPES, dtype=np.int32),
        "tokens": tokens,
        "positions": positions.numpy(),
        "image/encoded": out.vision_model_output.last_hidden_state.detach().numpy(),
        "image/pooled": out.vision_model_output.pooler_output.detach().numpy(),
        "image/embedded": out.image_embeds.detach().numpy(),
        "logits": out.logits_per_image.detach().numpy(),
    }
    for name, parameter in model.named_parameters():
        tensors[f"parameters/{name}"] = parameter.detach().numpy()
        if name.startswith("vision_model."):
            tensors[f"gradients/{name}"] = parameter.grad.numpy()
    single = {k: np.ascontiguousarray(v.astype(np.float32) if v.dtype == np.float64 else v) for k, v in tensors.items()}
    save_file(single, folder / "tiny-siglip2.safetensors")
    facts = dict(model=dict(vision=VISION, text=TEXT), loss=out.loss.item())
    (folder / "tiny-siglip2.json").write_text(json.dumps(facts, indent=2) + "\n")


main(pathlib.Path(sys.argv[1]))
