"""big_vision checkpoints of the tiny models that test/parity stores under Hugging Face names.

The mapping is the inverse of transformers' convert_siglip_to_hf.py. Run with the versions of
test/parity/requirements.txt, from the top of the repository:

    python test/checkpoint/big-vision/make_npz_fixtures.py
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
PARITY = HERE.parent.parent / "parity" / "fixtures"


def attention(flat, to, p, name, heads):
    for ours, theirs in [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")]:
        w, b = p[f"{name}.{ours}.weight"], p[f"{name}.{ours}.bias"]
        width = w.shape[0]
        flat[f"{to}/{theirs}/kernel"] = w.T.reshape(w.shape[1], heads, width // heads)
        flat[f"{to}/{theirs}/bias"] = b.reshape(heads, width // heads)
    out(flat, to, p, name, heads)


def out(flat, to, p, name, heads):
    w = p[f"{name}.out_proj.weight"]
    flat[f"{to}/out/kernel"] = w.T.reshape(heads, w.shape[1] // heads, w.shape[0])
    flat[f"{to}/out/bias"] = p[f"{name}.out_proj.bias"]


def norm(flat, to, p, name):
    flat[f"{to}/scale"], flat[f"{to}/bias"] = p[f"{name}.weight"], p[f"{name}.bias"]


def dense(flat, to, p, name):
    flat[f"{to}/kernel"], flat[f"{to}/bias"] = p[f"{name}.weight"].T, p[f"{name}.bias"]


def encoder(flat, to, p, name, depth, heads, last):
    for i in range(depth):
        layer, block = f"{name}.encoder.layers.{i}", f"{to}/encoderblock_{i}"
        norm(flat, f"{block}/LayerNorm_0", p, f"{layer}.layer_norm1")
        norm(flat, f"{block}/LayerNorm_1", p, f"{layer}.layer_norm2")
        attention(flat, f"{block}/MultiHeadDotProductAttention_0", p, f"{layer}.self_attn", heads)
        dense(flat, f"{block}/MlpBlock_0/Dense_0", p, f"{layer}.mlp.fc1")
        dense(flat, f"{block}/MlpBlock_0/Dense_1", p, f"{layer}.mlp.fc2")
    norm(flat, f"{to}/encoder_norm", p, f"{name}.{last}")


def big_vision(p, model):
    vision, text = model["vision"], model["text"]
    flat = {}
    w = p["vision_model.embeddings.patch_embedding.weight"]
    naflex = w.ndim == 2
    flat["img/embedding/kernel"] = w.T if naflex else w.transpose(2, 3, 1, 0)
    flat["img/embedding/bias"] = p["vision_model.embeddings.patch_embedding.bias"]
    positions = p["vision_model.embeddings.position_embedding.weight"]
    grid = int(round(len(positions) ** 0.5))
    flat["img/pos_embedding"] = positions.reshape(grid, grid, -1) if naflex else positions[None]
    encoder(flat, "img/Transformer", p, "vision_model", vision["depth"], vision["heads"], "post_layernorm")
    head, to, heads, width = "vision_model.head", "img/MAPHead_0", vision["heads"], vision["width"]
    flat[f"{to}/probe"] = p[f"{head}.probe"]
    weights = np.split(p[f"{head}.attention.in_proj_weight"], 3)
    biases = np.split(p[f"{head}.attention.in_proj_bias"], 3)
    inner = f"{to}/MultiHeadDotProductAttention_0"
    for theirs, w, b in zip(["query", "key", "value"], weights, biases):
        flat[f"{inner}/{theirs}/kernel"] = w.T.reshape(width, heads, width // heads)
        flat[f"{inner}/{theirs}/bias"] = b.reshape(heads, width // heads)
    out(flat, inner, p, f"{head}.attention", heads)
    norm(flat, f"{to}/LayerNorm_0", p, f"{head}.layernorm")
    dense(flat, f"{to}/MlpBlock_0/Dense_0", p, f"{head}.mlp.fc1")
    dense(flat, f"{to}/MlpBlock_0/Dense_1", p, f"{head}.mlp.fc2")
    flat["txt/Embed_0/embedding"] = p["text_model.embeddings.token_embedding.weight"]
    flat["txt/pos_embedding"] = p["text_model.embeddings.position_embedding.weight"][None]
    encoder(flat, "txt/Encoder_0", p, "text_model", text["depth"], text["heads"], "final_layer_norm")
    dense(flat, "txt/head", p, "text_model.head")
    flat["t"], flat["b"] = p["logit_scale"], p["logit_bias"]
    return {f"params/{name}": np.ascontiguousarray(value) for name, value in flat.items()}


def scanned(flat):
    """As models with scan=True are stored: layers stacked along a first axis."""
    stacked, rest = {}, {}
    for name, value in flat.items():
        if "/encoderblock_" not in name:
            rest[name] = value
            continue
        before, after = name.split("/encoderblock_")
        index, leaf = after.split("/", 1)
        stacked.setdefault(f"{before}/encoderblock/{leaf}", {})[int(index)] = value
    return rest | {name: np.stack([of[i] for i in range(len(of))]) for name, of in stacked.items()}


for family in ["tiny-siglip", "tiny-siglip2"]:
    tensors = load_file(PARITY / f"{family}.safetensors")
    model = json.loads((PARITY / f"{family}.json").read_text())["model"]
    p = {name[len("parameters/"):]: value for name, value in tensors.items() if name.startswith("parameters/")}
    flat = big_vision(p, model)
    (HERE / "fixtures").mkdir(exist_ok=True)
    np.savez(HERE / "fixtures" / f"{family}.npz", **flat)
    np.savez_compressed(HERE / "fixtures" / f"{family}-scanned.npz", **scanned(flat))

# A whole training checkpoint: what lies beside the parameters is of every type.
beside = {
    "opt/0/count": np.int32(1000),
    "opt/0/mu/t": np.zeros(1, np.float32),
    "chrono/accum_train_time": np.float64(12.5),
    "step": np.int64(1000),
    "extra": np.array([{"a": 1}], dtype=object),
}
np.savez_compressed(HERE / "fixtures" / "tiny-siglip2-training.npz", **flat, **beside)
bare = {name.removeprefix("params/"): value for name, value in flat.items()}
np.savez_compressed(HERE / "fixtures" / "tiny-siglip2-bare.npz", **bare, **beside)
