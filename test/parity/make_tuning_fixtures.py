"""Twenty steps of PyTorch on parts of a model, with rates that decay by layer, and with adapters of peft.

The model is transformers' SiglipModel with the parameters, pictures and texts of tiny-siglip.safetensors (make_fixtures.py
makes them), in double precision; the optimiser is torch.optim.AdamW. Parts are frozen by requires_grad, the shares of layers
are those of timm's param_groups_layer_decay, and adapters are peft's, which also writes its files. Run with the versions of
requirements-tuning.txt:

    pip install -r test/parity/requirements-tuning.txt
    python test/parity/make_tuning_fixtures.py test/parity/fixtures
    npm run format
"""

import json
import math
import pathlib
import re
import sys
import tempfile

import numpy as np
import peft
import timm.optim
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import SiglipConfig, SiglipModel

FOLDER = pathlib.Path(sys.argv[1])
STEPS = 20
FACTS = json.loads((FOLDER / "tiny-siglip.json").read_text())
STORED = load_file(FOLDER / "tiny-siglip.safetensors")
BATCH = FACTS["batch"]
VISION, TEXT = FACTS["model"]["vision"], FACTS["model"]["text"]
OPTIMIZER = dict(learningRate=4e-3, weightDecay=2e-4, beta1=0.9, beta2=0.95, epsilon=1e-8, clipNorm=8.0)
SCHEDULE = dict(total=BATCH * 24, warmup=BATCH * 2)
LORA = dict(rank=3, alpha=6)
START_DECAY = 0.05


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
    config._attn_implementation = "sdpa"
    model = SiglipModel(config).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(STORED[f"parameters/{name}"].astype(np.float64)))
    return model


def inputs(step):
    index = step % len(FACTS["losses"])
    pixels = torch.from_numpy(STORED["images"][index].astype(np.float64) / 127.5 - 1).permute(0, 3, 1, 2)
    return dict(input_ids=torch.from_numpy(STORED["tokens"][index].astype(np.int64)), pixel_values=pixels)


def is_kernel(name, value):
    return value.ndim >= 2 and not re.search("embeddings.position|token_embedding|probe", name)


def factor_at(examples):
    total, warmup = SCHEDULE["total"], SCHEDULE["warmup"]
    progress = min(max((examples - warmup) / (total - warmup), 0), 1)
    return min(examples / warmup, 1) * (1 + math.cos(math.pi * progress)) / 2


def train(model, shares=None, start_decay=0.0):
    """Losses of the steps, and the norm of each gradient. Decay is not scaled by the rate in big_vision: weightDecay / learningRate
    is what AdamW, which scales it, has to be given."""
    o = OPTIMIZER
    groups = [
        dict(
            params=[parameter],
            share=shares[name] if shares else 1.0,
            weight_decay=o["weightDecay"] / o["learningRate"] if is_kernel(name, parameter) else 0.0,
        )
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    optimizer = torch.optim.AdamW(groups, lr=o["learningRate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
    losses, norms = [], []
    trained = [p for n, p in model.named_parameters() if p.requires_grad and "token_embedding" not in n]
    start = [p.detach().clone() for p in trained]
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(**inputs(step), return_loss=True).loss
        loss.backward()
        parameters = [p for group in groups for p in group["params"]]
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, o["clipNorm"]).item())
        for group in optimizer.param_groups:
            group["lr"] = o["learningRate"] * factor_at(step * BATCH) * group["share"]
        # Decoupled, by what parameters are before the step, as AdamW takes its own decay.
        pull = [factor_at(step * BATCH) * start_decay * (p.detach() - s) for p, s in zip(trained, start)]
        optimizer.step()
        with torch.no_grad():
            for parameter, by in zip(trained, pull):
                parameter.sub_(by)
        losses.append(loss.item())
    return dict(losses=losses, gradientNorms=norms)


def frozen(trained):
    model = build()
    for name, parameter in model.named_parameters():
        parameter.requires_grad = bool(re.search(trained, name))
    return dict(names=[n for n, p in model.named_parameters() if p.requires_grad], **train(model))


class Tower(torch.nn.Module):
    """A tower as timm looks at one: what lies below the blocks, the blocks, and what is above them."""

    def __init__(self, tower):
        super().__init__()
        self.tower = tower

    def group_matcher(self, coarse=False):
        return dict(stem=r"^tower\.embeddings", blocks=[(r"^tower\.encoder\.layers\.(\d+)", None)])


def layer_decay(decay):
    model = build()
    shares = {"logit_scale": 1.0, "logit_bias": 1.0}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for tower in (model.vision_model, model.text_model):
        for group in timm.optim.param_groups_layer_decay(Tower(tower), layer_decay=decay):
            for parameter in group["params"]:
                shares[names[id(parameter)]] = group["lr_scale"]
    return dict(decay=decay, shares=shares, **train(model, shares))


TENSORS = {}


def plain_name(name):
    """As peft saves it, but for what it puts before it."""
    magnitude = name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")
    return magnitude.removeprefix("base_model.model.").replace(".default.", ".")


def lora(prefix="", **kind):
    model = build()
    config = peft.LoraConfig(
        r=LORA["rank"],
        lora_alpha=LORA["alpha"],
        target_modules=r"(vision_model|text_model)\.encoder\.layers\.\d+\.(self_attn\.(q_proj|k_proj|v_proj|out_proj)|mlp\.(fc1|fc2))",
        lora_dropout=0.0,
        **kind,
    )
    adapted = peft.get_peft_model(model, config)
    random = np.random.default_rng(20261127)
    with torch.no_grad():
        for name, parameter in sorted(adapted.named_parameters()):
            if parameter.requires_grad:
                # Nothing may start at zero, where a missing product would not be seen.
                value = 0.3 * random.normal(size=tuple(parameter.shape)) / math.sqrt(parameter.shape[-1])
                if "magnitude" in name:
                    # Not the lengths of the rows, where a missing gain would not be seen.
                    value = parameter.numpy() * (1 + 0.2 * random.normal(size=tuple(parameter.shape)))
                value = value.astype(np.float32)
                parameter.copy_(torch.from_numpy(value.astype(np.float64)))
                TENSORS[f"{prefix}start/{plain_name(name)}"] = value
    adapted.zero_grad()
    out = adapted(**inputs(0), return_loss=True)
    out.loss.backward()
    TENSORS[f"{prefix}logits"] = out.logits_per_image.detach().numpy().astype(np.float32)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            TENSORS[f"{prefix}gradients/{plain_name(name)}"] = parameter.grad.numpy().astype(np.float32)
    found = train(adapted)
    with tempfile.TemporaryDirectory() as folder:
        adapted.save_pretrained(folder)
        written = json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())
        saved = load_file(pathlib.Path(folder) / "adapter_model.safetensors")
        shapes = {name: list(value.shape) for name, value in saved.items()}
    merged = adapted.merge_and_unload()
    with torch.no_grad():
        after = merged(**inputs(0)).logits_per_image.numpy()
    TENSORS[f"{prefix}logits/after"] = after.astype(np.float32)
    return dict(**LORA, **found, adapterConfig=written, adapterShapes=shapes)


facts = dict(
    versions=dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__, timm=timm.__version__),
    optimizer=OPTIMIZER,
    schedule=SCHEDULE,
    # As LiT: the image tower stays.
    texts=frozen(r"^(text_model|logit_)"),
    # The last block and the head of the images, all texts but their table; no biases of texts.
    top=frozen(r"^vision_model\.(encoder\.layers\.1|post_layernorm|head)|^text_model\.(?!.*(bias|token_embedding))"),
    layerDecay=layer_decay(0.6),
    startDecay=dict(decay=START_DECAY, **train(build(), start_decay=START_DECAY)),
    lora=lora(),
    dora=lora("dora/", use_dora=True),
)
save_file({k: np.ascontiguousarray(v) for k, v in TENSORS.items()}, FOLDER / "tuning.safetensors")
(FOLDER / "tuning.json").write_text(json.dumps(facts, indent=2) + "\n")
print({name: facts[name]["losses"][::5] for name in ("texts", "top", "layerDecay", "startDecay", "lora", "dora")})
