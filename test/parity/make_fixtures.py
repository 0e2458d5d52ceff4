"""Reference numbers for the TypeScript model, loss, gradients and optimiser.

The model is transformers' SiglipModel and the gradients are torch's autograd, both in double precision. The optimiser
is written here a second time, in NumPy, from its description (big_vision optax.py, arXiv 2303.15343 section 4.7), not
translated from the TypeScript. Run with the versions of requirements.txt:

    pip install -r test/parity/requirements.txt
    python test/parity/make_fixtures.py test/parity/fixtures
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import SiglipConfig, SiglipModel

# 18 is no multiple of 4: the last two rows and columns of pixels are dropped. The text tower is narrower than the
# image tower, so that its head is not square.
VISION = dict(width=24, depth=2, mlp=40, heads=3, patch=4, resolution=18)
TEXT = dict(width=16, depth=2, mlp=28, heads=2, length=7, vocabulary=40)
BATCH = 5
STEPS = 5
OPTIMIZER = dict(
    learningRate=1e-2,
    weightDecay=2e-2,
    beta1=0.9,
    beta2=0.95,
    epsilon=1e-8,
    clipNorm=12.0,
    multipliers={"logit_scale": 3, "logit_bias": 10},
)
# In examples.
SCHEDULE = dict(total=BATCH * 12, warmup=BATCH * 2)


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


def build():
    config = SiglipConfig(
        text_config=dict(
            **tower(TEXT),
            vocab_size=TEXT["vocabulary"],
            max_position_embeddings=TEXT["length"],
            projection_size=VISION["width"],
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        ),
        vision_config=dict(**tower(VISION), image_size=VISION["resolution"], patch_size=VISION["patch"]),
    )
    # Eager attention rounds its softmax to single precision; this one keeps to double.
    config._attn_implementation = "sdpa"
    model = SiglipModel(config).double().eval()
    random = np.random.default_rng(20250221)
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
            else:
                value = noise / math.sqrt(parameter.shape[-1] if parameter.ndim == 2 else 24)
            # Float32 is what is stored: the reference starts from exactly those numbers.
            parameter.copy_(torch.from_numpy(value.astype(np.float32).astype(np.float64)).reshape(parameter.shape))
    return model, random


def forward(model, images, tokens):
    pixels = torch.from_numpy(images.astype(np.float64) / 127.5 - 1).permute(0, 3, 1, 2)
    return model(input_ids=torch.from_numpy(tokens.astype(np.int64)), pixel_values=pixels, return_loss=True)


def schedule_factor(examples):
    """Linear warm-up times cosine, the cosine running from the end of the warm-up to the end."""
    total, warmup = SCHEDULE["total"], SCHEDULE["warmup"]
    progress = min(max((examples - warmup) / (total - warmup), 0), 1)
    return min(examples / warmup, 1) * (1 + math.cos(math.pi * progress)) / 2


def is_kernel(name, value):
    """What big_vision calls .../kernel: matrices of linear maps and convolutions, not tables, probe, norms, biases."""
    return value.ndim >= 2 and "embeddings.position" not in name and "token_embedding" not in name and "probe" not in name


def main(folder):
    torch.manual_seed(0)
    model, random = build()
    names = [name for name, _ in model.named_parameters()]
    images = random.integers(0, 256, (STEPS, BATCH, VISION["resolution"], VISION["resolution"], 3), dtype=np.uint8)
    tokens = random.integers(0, TEXT["vocabulary"], (STEPS, BATCH, TEXT["length"]), dtype=np.int32)
    tensors = {"images": images, "tokens": tokens}
    for name, parameter in model.named_parameters():
        tensors[f"parameters/{name}"] = parameter.detach().numpy().astype(np.float32)

    with torch.no_grad():
        out = forward(model, images[0], tokens[0])
    tensors["image/encoded"] = out.vision_model_output.last_hidden_state.numpy()
    tensors["image/pooled"] = out.vision_model_output.pooler_output.numpy()
    tensors["text/encoded"] = out.text_model_output.last_hidden_state.numpy()
    tensors["text/pooled"] = out.text_model_output.pooler_output.numpy()
    tensors["image/embedded"] = out.image_embeds.numpy()
    tensors["text/embedded"] = out.text_embeds.numpy()
    tensors["logits"] = out.logits_per_image.numpy()

    o = OPTIMIZER
    first = {name: np.zeros(tuple(p.shape)) for name, p in model.named_parameters()}
    second = {name: np.zeros(tuple(p.shape)) for name, p in model.named_parameters()}
    losses, norms, factors = [], [], []
    for step in range(STEPS):
        model.zero_grad()
        loss = forward(model, images[step], tokens[step]).loss
        loss.backward()
        gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
        if step == 0:
            for name in names:
                tensors[f"gradients/{name}"] = gradients[name]
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        factor = schedule_factor(step * BATCH)
        losses.append(loss.item())
        norms.append(norm)
        factors.append(factor)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                g = gradients[name] * min(1.0, o["clipNorm"] / norm)
                first[name] += (1 - o["beta1"]) * (g - first[name])
                second[name] += (1 - o["beta2"]) * (g * g - second[name])
                mean = first[name] / (1 - o["beta1"] ** (step + 1))
                scale = np.sqrt(second[name] / (1 - o["beta2"] ** (step + 1))) + o["epsilon"]
                update = o["learningRate"] * o["multipliers"].get(name, 1) * mean / scale
                value = parameter.numpy()
                if is_kernel(name, value):
                    update = update + o["weightDecay"] * value
                parameter.copy_(torch.from_numpy(value - factor * update))
    for name, parameter in model.named_parameters():
        tensors[f"after/{name}"] = parameter.detach().numpy()

    single = {k: np.ascontiguousarray(v.astype(np.float32) if v.dtype == np.float64 else v) for k, v in tensors.items()}
    save_file(single, folder / "tiny-siglip.safetensors")
    facts = dict(
        model=dict(vision=VISION, text=TEXT),
        optimizer=OPTIMIZER,
        schedule=SCHEDULE,
        batch=BATCH,
        losses=losses,
        gradientNorms=norms,
        scheduleFactors=factors,
        kernels=[name for name, p in model.named_parameters() if is_kernel(name, p)],
    )
    (folder / "tiny-siglip.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(dict(losses=losses, norms=norms, factors=factors)))


main(pathlib.Path(sys.argv[1]))
