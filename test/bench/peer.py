"""The peer of `npm run bench -- --peer PYTHON`: the same model and the same step in PyTorch, stated line by line.

Pre-LN vision transformer with a MAP head, text transformer without a mask pooled at its last token, sigmoid loss;
forward + backward + clip by the global norm + AdamW. Weights, images and tokens come from the safetensors file that
our side wrote, so that both start from the same state and their losses can be compared.

Speaks the protocol of process.ts: one JSON line when warm, then for each line "N" on stdin N steps and one JSON line.
"""

import argparse
import json
import math
import resource
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


def memory(key):
    """Bytes of VmHWM (peak) or VmRSS of this process; ru_maxrss where there is no /proc."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak():
    """Lets VmHWM start again from what is held now. False where Linux does not allow it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def merge_projections(weights):
    """q, k and v of a layer as one matrix of 3 W rows, and k and v of the MAP head as one of 2 W."""
    merged = {}
    for name, value in weights.items():
        if ".q_proj." in name:
            parts = [weights[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            merged[name.replace("q_proj", "qkv_proj")] = torch.cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name:
            merged[name] = value
    return merged


def split_map_head(weights, merged):
    """The one in_proj matrix of the MAP head as leaves of their own, as the layout asks."""
    head = "vision_model.head.attention"
    weight, bias = weights.pop(f"{head}.in_proj_weight"), weights.pop(f"{head}.in_proj_bias")
    width = weight.shape[1]
    sizes = {"q_proj": width, "kv_proj": 2 * width} if merged else dict.fromkeys(("q_proj", "k_proj", "v_proj"), width)
    for (part, _), w, b in zip(sizes.items(), weight.split(list(sizes.values())), bias.split(list(sizes.values()))):
        weights[f"{head}.{part}.weight"], weights[f"{head}.{part}.bias"] = w.clone(), b.clone()


class Model:
    def __init__(self, shape, weights, merged, patch):
        self.shape, self.merged, self.patch = shape, merged, patch
        weights = merge_projections(weights) if merged else dict(weights)
        split_map_head(weights, merged)
        self.p = {name: value.clone().requires_grad_() for name, value in weights.items()}

    def linear(self, name, x):
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"], 1e-6)

    def mlp(self, name, x):
        return self.linear(f"{name}.fc2", F.gelu(self.linear(f"{name}.fc1", x), approximate="tanh"))

    def heads(self, x, parts, heads):
        """(B, N, parts D) -> parts times (B, H, N, D/H)"""
        batch, length, width = x.shape
        return x.view(batch, length, parts, heads, width // parts // heads).permute(2, 0, 3, 1, 4).unbind(0)

    def attention(self, name, x, heads):
        if self.merged:
            q, k, v = self.heads(self.linear(f"{name}.qkv_proj", x), 3, heads)
        else:
            q, k, v = (self.heads(self.linear(f"{name}.{part}_proj", x), 1, heads)[0] for part in "qkv")
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.linear(f"{name}.out_proj", attended.transpose(1, 2).reshape(x.shape))

    def encoder(self, name, size, x):
        for i in range(size["depth"]):
            layer = f"{name}.layers.{i}"
            x = x + self.attention(f"{layer}.self_attn", self.norm(f"{layer}.layer_norm1", x), size["heads"])
            x = x + self.mlp(f"{layer}.mlp", self.norm(f"{layer}.layer_norm2", x))
        return x

    def map_head(self, x, heads):
        name = "vision_model.head"
        batch, _, width = x.shape
        q = self.heads(self.linear(f"{name}.attention.q_proj", self.p[f"{name}.probe"]), 1, heads)[0]
        if self.merged:
            k, v = self.heads(self.linear(f"{name}.attention.kv_proj", x), 2, heads)
        else:
            k, v = (self.heads(self.linear(f"{name}.attention.{part}_proj", x), 1, heads)[0] for part in "kv")
        attended = F.scaled_dot_product_attention(q.expand(batch, -1, -1, -1), k, v)
        hidden = self.linear(f"{name}.attention.out_proj", attended.transpose(1, 2).reshape(batch, width))
        return hidden + self.mlp(f"{name}.mlp", self.norm(f"{name}.layernorm", hidden))

    def vision(self, images):
        size = self.shape["model"]["vision"]
        patch, width = size["patch"], size["width"]
        pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1
        name = "vision_model.embeddings.patch_embedding"
        weight, bias = self.p[f"{name}.weight"], self.p[f"{name}.bias"]
        if self.patch == "conv":
            x = F.conv2d(pixels, weight, bias, stride=patch).flatten(2).transpose(1, 2)
        else:
            batch, _, side, _ = pixels.shape
            grid = side // patch
            rows = pixels.reshape(batch, 3, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5)
            x = F.linear(rows.reshape(batch, grid * grid, 3 * patch * patch), weight.view(width, -1), bias)
        x = x + self.p["vision_model.embeddings.position_embedding.weight"]
        x = self.norm("vision_model.post_layernorm", self.encoder("vision_model.encoder", size, x))
        return self.map_head(x, size["heads"])

    def text(self, tokens):
        name = "text_model.embeddings"
        x = F.embedding(tokens, self.p[f"{name}.token_embedding.weight"]) + self.p[f"{name}.position_embedding.weight"]
        x = self.encoder("text_model.encoder", self.shape["model"]["text"], x)
        x = self.norm("text_model.final_layer_norm", x)
        return self.linear("text_model.head", x[:, -1])

    def loss(self, images, tokens):
        z = self.vision(images)
        w = self.text(tokens)
        z = z / (z.norm(dim=-1, keepdim=True) + 1e-8)
        w = w / (w.norm(dim=-1, keepdim=True) + 1e-8)
        logits = self.p["logit_scale"].exp() * (z @ w.T) + self.p["logit_bias"]
        signs = 2 * torch.eye(len(logits), device=logits.device) - 1
        return -F.logsigmoid(signs * logits).sum() / len(logits)

    def parameter_groups(self, optimizer):
        """Weight decay on kernels only. PyTorch multiplies it by the learning rate, the recipe does not."""
        tables = ("token_embedding.weight", "position_embedding.weight", "probe")
        kernels = [v for n, v in self.p.items() if v.ndim > 1 and not n.endswith(tables)]
        others = [v for n, v in self.p.items() if v.ndim <= 1 or n.endswith(tables)]
        decay = optimizer["weightDecay"] / optimizer["learningRate"]
        return [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True, help="JSON: model, optimizer")
    parser.add_argument("--weights", required=True, help="safetensors with parameters, images and tokens")
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    parser.add_argument("--qkv", choices=["merged", "separate"], required=True)
    parser.add_argument("--patch", choices=["conv", "linear"], default="conv")
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    shape = json.loads(arguments.shape)
    base = memory("VmRSS")

    device = arguments.device
    weights = load_file(arguments.weights, device=device)
    images, tokens = weights.pop("images"), weights.pop("tokens").long()
    model = Model(shape, weights, arguments.qkv == "merged", arguments.patch)
    del weights
    settings = shape["optimizer"]
    optimizer = torch.optim.AdamW(
        model.parameter_groups(settings),
        lr=settings["learningRate"],
        betas=(settings["beta1"], settings["beta2"]),
        eps=settings["epsilon"],
        fused=True,
    )
    parameters = list(model.p.values())
    autocast = arguments.precision == "bf16"

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=autocast):
            loss = model.loss(images, tokens)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings["clipNorm"])
        optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit(f"the loss became {value}")
        return value

    def timed(count):
        times, cpu, losses = [], [], []
        for _ in range(count):
            began, cpu_began = time.perf_counter(), time.process_time()
            losses.append(step())
            times.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - cpu_began))
        peak = memory("VmHWM")
        # Of a GPU they would be those of the host, which say nothing.
        on_host = device == "cpu"
        peaks = {"peak": max(peak_before, peak) if on_host else None, "stepsPeak": peak if on_host and reset else None}
        return {"ms": times, "cpuMs": cpu, "losses": losses, **peaks}

    began = time.perf_counter()
    losses = [step() for _ in range(arguments.warm_up)]
    peak_before = memory("VmHWM")
    reset = forget_peak()
    say({"ready": True, "losses": losses, "warmUpMs": 1000 * (time.perf_counter() - began), "base": base,
         "peak": peak_before, "threads": torch.get_num_threads(), "version": torch.__version__})
    for line in sys.stdin:
        say(timed(int(line)))


main()
