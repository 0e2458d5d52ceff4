"""Reference numbers from big_vision's own code: decoder and captioning loss (cappa.py), optimiser (optax.py), first values.

Nothing of big_vision is stored here. The script imports it from a clone, which it takes as its first argument:

    git clone https://github.com/google-research/big_vision && git -C big_vision checkout 0127fb6b337ee2a27bf4e54dea79cff176527356
    pip install -r test/parity/requirements-flax.txt
    python test/parity/make_big_vision_fixtures.py big_vision test/parity/fixtures
    npm run format

The captioning loss and its gradients are in double precision. The optimiser is in single precision, as it trains there.
"""

import json
import pathlib
import subprocess
import sys
import unittest.mock

import flax
import flax.linen as nn
import flax.training.checkpoints  # Looks for TensorFlow, before there is one that is none.
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from safetensors.numpy import save_file

CLONE, FOLDER = (pathlib.Path(path) for path in sys.argv[1:])
COMMIT = subprocess.check_output(["git", "-C", CLONE, "rev-parse", "HEAD"], text=True).strip()
sys.path.insert(0, str(CLONE))
# big_vision reads files with it, and none is read here.
sys.modules |= {name: unittest.mock.MagicMock() for name in ("tensorflow", "tensorflow.io", "tensorflow.io.gfile")}

from big_vision import optax as bv_optax  # noqa: E402
from big_vision import utils  # noqa: E402
from big_vision.models.proj.cappa import cappa  # noqa: E402
from big_vision.models.proj.image_text import two_towers  # noqa: E402

VERSIONS = dict(big_vision=COMMIT, jax=jax.__version__, flax=flax.__version__, optax=optax.__version__)
TASKS = 3


def dense(kernel):
    """flax (in, out) as (out, in)."""
    return kernel.T


def to_heads(kernel):
    """flax (D, H, d) as (H d, D)."""
    return kernel.reshape(kernel.shape[0], -1).T


def from_heads(kernel):
    """flax (H, d, D) as (D, H d)."""
    return kernel.reshape(-1, kernel.shape[-1]).T


def affine(to, part, kernel=dense):
    yield f"{to}.weight", kernel(part["kernel"])
    if "bias" in part:
        yield f"{to}.bias", part["bias"].reshape(-1)


def norm(to, part):
    yield f"{to}.weight", part["scale"]
    if "bias" in part:
        yield f"{to}.bias", part["bias"]


def attention(to, part):
    for name in ("query", "key", "value"):
        yield from affine(f"{to}.{name[0]}_proj", part[name], to_heads)
    yield from affine(f"{to}.out_proj", part["out"], from_heads)


def mlp(to, part):
    yield from affine(f"{to}.fc1", part["Dense_0"])
    yield from affine(f"{to}.fc2", part["Dense_1"])


def encoder(to, last, part):
    for name, block in part.items():
        if name == "encoder_norm":
            yield from norm(last, block)
            continue
        layer = f"{to}.encoder.layers.{name.removeprefix('encoderblock_')}"
        yield from norm(f"{layer}.layer_norm1", block["LayerNorm_0"])
        yield from attention(f"{layer}.self_attn", block["MultiHeadDotProductAttention_0"])
        yield from norm(f"{layer}.layer_norm2", block["LayerNorm_1"])
        yield from mlp(f"{layer}.mlp", block["MlpBlock_0"])


def towers(tree):
    """Parameters of `two_towers.Model` by the names and in the shapes of transformers."""
    img, txt, head = tree["img"], tree["txt"], tree["img"]["MAPHead_0"]
    v = "vision_model"
    yield f"{v}.embeddings.patch_embedding.weight", img["embedding"]["kernel"].transpose(3, 2, 0, 1)
    yield f"{v}.embeddings.patch_embedding.bias", img["embedding"]["bias"]
    yield f"{v}.embeddings.position_embedding.weight", img["pos_embedding"][0]
    yield from encoder(v, f"{v}.post_layernorm", img["Transformer"])
    yield f"{v}.head.probe", head["probe"]
    parts = dict(attention("", head["MultiHeadDotProductAttention_0"]))
    for kind in ("weight", "bias"):
        together = [parts[f".{name}_proj.{kind}"] for name in "qkv"]
        yield f"{v}.head.attention.in_proj_{kind}", np.concatenate(together)
        yield f"{v}.head.attention.out_proj.{kind}", parts[f".out_proj.{kind}"]
    yield from norm(f"{v}.head.layernorm", head["LayerNorm_0"])
    yield from mlp(f"{v}.head.mlp", head["MlpBlock_0"])
    yield "text_model.embeddings.token_embedding.weight", txt["Embed_0"]["embedding"]
    yield "text_model.embeddings.position_embedding.weight", txt["pos_embedding"][0]
    yield from encoder("text_model", "text_model.final_layer_norm", txt["Encoder_0"])
    yield from affine("text_model.head", txt["head"])
    yield "logit_scale", tree["t"]
    yield "logit_bias", tree["b"]


def decoder(tree, positions):
    """Parameters of `cappa.Decoder`, and the positions that it is given."""
    yield "decoder.embed_tokens.weight", tree["EmbedTargets"]["embedding"]
    yield "decoder.embed_positions.weight", positions[0]
    for name, block in tree.items():
        if not name.startswith("EncDecBlock"):
            continue
        layer = f"decoder.layers.{name.removeprefix('EncDecBlock')}"
        yield from norm(f"{layer}.self_attn_layer_norm", block["LayerNorm1"])
        yield from attention(f"{layer}.self_attn", block["SelfAttn"])
        yield from norm(f"{layer}.encoder_attn_layer_norm", block["LayerNorm2"])
        yield from attention(f"{layer}.encoder_attn", block["CrossAttn"])
        yield from norm(f"{layer}.final_layer_norm", block["LayerNorm3"])
        yield from mlp(f"{layer}.mlp", block["MLP"])
    yield from norm("decoder.layer_norm", tree["LayerNorm"])
    yield from affine("decoder.lm_head", tree["LogitsDense"])


def two_tower_model(vision, text):
    tower = lambda size: dict(width=size["width"], depth=size["depth"], mlp_dim=size["mlp"], num_heads=size["heads"])
    return two_towers.Model(
        image=dict(**tower(vision), patch_size=(vision["patch"],) * 2, pool_type="map", num_classes=None),
        text=dict(**tower(text), vocab_size=text["vocabulary"]),
        out_dim=(None, vision["width"]),
        temperature_init=10.0,
        bias_init=-10.0,
    )


def decoder_model(text, depth):
    return cappa.Decoder(
        emb_dim=text["width"],
        mlp_dim=text["mlp"],
        num_heads=text["heads"],
        num_layers=depth,
        output_vocab_size=text["vocabulary"],
        # As in configs/proj/cappa/pretrain.py, but for the share.
        masked_pred_prob=0.5,
        masking_ratio=1.0,
        use_bias=False,
    )


def first_values(vision, text, depth, seed):
    """A tree of everything that is trained, as big_vision starts it: towers, decoder and the decoder's positions."""
    keys = jax.random.split(jax.random.PRNGKey(seed), 3)
    pixels = jnp.zeros((1, vision["resolution"], vision["resolution"], 3))
    tokens = jnp.zeros((1, text["length"]), jnp.int32)
    tree = two_tower_model(vision, text).init(keys[0], pixels, tokens)["params"]
    encoded = jnp.zeros((1, 4, vision["width"]))
    # The decoder's positions are a parameter of the whole model.
    whole = cappa.Model(
        num_heads=text["heads"],
        num_layers=1,
        mlp_dim=text["mlp"],
        emb_dim=text["width"],
        vocab_size=text["vocabulary"],
        seq_len=text["length"],
        patches=(4, 4),
        decoder_num_layers=1,
        decoder_bias=False,
    )
    of_model = whole.init(keys[1], jnp.zeros((1, 4, 4, 3)), tokens)["params"]
    of_decoder = decoder_model(text, depth).init(
        keys[2], encoded, tokens, of_model["pos_embedding_decoder"], nn.make_causal_mask(tokens)
    )["params"]
    return {**tree, "pos_embedding_decoder": of_model["pos_embedding_decoder"], "decoder": of_decoder}


def by_name(tree):
    tree = jax.tree.map(np.asarray, flax.core.unfreeze(tree))
    return {**dict(towers(tree)), **dict(decoder(tree["decoder"], tree["pos_embedding_decoder"]))}


def store(name, tensors, facts):
    single = {k: np.ascontiguousarray(v.astype(np.float32) if v.dtype == np.float64 else v) for k, v in tensors.items()}
    save_file(single, FOLDER / f"{name}.safetensors")
    (FOLDER / f"{name}.safetensors").chmod(0o644)
    (FOLDER / f"{name}.json").write_text(json.dumps(dict(**facts, versions=VERSIONS), indent=2) + "\n")


def cappa_fixture():
    """The three texts of LocCa as three calls of cappa's decoder and loss, which are added: loss and gradients."""
    vision_width, text, depth = 10, dict(width=8, mlp=12, heads=2, length=6, vocabulary=13), 2
    batch, keys = 4, 5
    random = np.random.default_rng(20250223)
    model = decoder_model(text, depth)
    # float32 numbers are what is stored: the reference starts from exactly those.
    drawn = lambda *shape: random.normal(size=shape).astype(np.float32).astype(np.float64)
    encoded = drawn(batch, keys, vision_width)
    targets = random.integers(2, text["vocabulary"], (TASKS, batch, text["length"]), dtype=np.int32)
    mask = np.ones(targets.shape, dtype=np.int32)
    for task in range(TASKS):
        for row in range(batch):
            # 1 ends a text and 0 is padding; what is given at the beginning of a region's text does not count.
            end = 1 + (2 * task + row) % (text["length"] - 1)
            targets[task, row, end], targets[task, row, end + 1 :] = 1, 0
            mask[task, row, : max(0, task - 1)] = 0
    targets[1, 2], targets[2, 2] = 0, 0  # An image without a region.
    positions = drawn(1, text["length"], text["width"])
    causal = nn.make_causal_mask(jnp.asarray(targets[0]))
    shapes = model.init(jax.random.PRNGKey(0), jnp.asarray(encoded), targets[0], positions, causal)["params"]
    # Nothing may stay at 0 or 1, where a missing bias or scale would not be seen.
    params = jax.tree.map(lambda x: jnp.asarray(0.4 * drawn(*x.shape) + (x.ndim == 1)), shapes)
    flags = []
    uniform = jax.random.uniform

    def watched(key, shape, *rest, **more):
        values = uniform(key, shape, *rest, **more)
        flags.append(np.asarray(values) < model.masked_pred_prob)
        return values

    def logits(params, positions, encoded, task):
        return model.apply(
            {"params": params},
            encoded,
            targets[task],
            positions,
            causal,
            deterministic=False,
            rngs={"dropout": jax.random.PRNGKey(task)},
        )

    # Which rows are predicted all at once is drawn inside: read from what it draws.
    with unittest.mock.patch.object(jax.random, "uniform", watched):
        said = [logits(params, positions, encoded, task) for task in range(TASKS)]
    assert len(flags) == TASKS and 0 < np.mean(flags) < 1

    def losses(params, positions, encoded):
        # As trainers/proj/cappa/generative.py weighs them.
        weights = jnp.where(targets != 0, 1.0, 0.0) * mask
        return jnp.stack([
            utils.weighted_softmax_xent(
                logits=logits(params, positions, encoded, task),
                labels=targets[task],
                weights=weights[task],
                reduction=True,
                normalize=True,
            )
            for task in range(TASKS)
        ])

    apart = losses(params, positions, encoded)
    gradients = jax.grad(lambda *at: losses(*at).sum(), argnums=(0, 1, 2))(params, positions, jnp.asarray(encoded))
    counted = (targets != 0) * mask
    weights = counted / np.maximum(1, counted.sum(-1, keepdims=True))
    rows = lambda x: np.ascontiguousarray(np.swapaxes(np.asarray(x), 0, 1)).reshape(batch * TASKS, *np.shape(x)[2:])
    numbers = lambda tree, at: dict(decoder(jax.tree.map(np.asarray, tree), np.asarray(at)))
    tensors = {
        "encoded": encoded.reshape(-1, vision_width),
        "targets": rows(targets),
        "targetWeights": rows(weights).astype(np.float32),
        "parallel": rows(np.array(flags, dtype=np.int32)),
        "logits": rows(np.stack(said)).reshape(-1, text["vocabulary"]),
        "gradients/encoded": np.asarray(gradients[2]).reshape(-1, vision_width),
        **{f"parameters/{name}": value for name, value in numbers(params, positions).items()},
        **{f"gradients/{name}": value for name, value in numbers(gradients[0], gradients[1]).items()},
    }
    vision = dict(width=vision_width, depth=1, mlp=12, heads=2, patch=4, resolution=8)
    facts = dict(model=dict(vision=vision, text=dict(**text, depth=1)), depth=depth, batch=batch)
    store("cappa", tensors, dict(**facts, losses=apart.tolist()))


def optax_fixture():
    """Steps of big_vision's whole chain on given gradients, for the names and masks of both towers and the decoder."""
    vision = dict(width=6, depth=1, mlp=7, heads=2, patch=2, resolution=4)
    text = dict(width=4, depth=1, mlp=5, heads=2, length=3, vocabulary=8)
    steps, batch, depth = 6, 5, 1
    settings = dict(learningRate=1e-2, weightDecay=2e-2, beta1=0.9, beta2=0.95, epsilon=1e-8, clipNorm=1.0)
    config = ml_collections.ConfigDict(dict(
        lr=settings["learningRate"],
        wd=settings["weightDecay"],
        grad_clip_norm=settings["clipNorm"],
        optax_name="scale_by_adam",
        optax=dict(b1=settings["beta1"], b2=settings["beta2"]),
        lr_mults=[("t", 3.0), ("b", 10.0)],
        schedule=dict(decay_type="cosine", warmup_steps=2),
    ))
    random = np.random.default_rng(20250224)
    like = lambda tree, scale: jax.tree.map(lambda x: jnp.asarray(scale * random.normal(size=x.shape), jnp.float32), tree)
    params = like(first_values(vision, text, depth, 0), 1)
    tx, schedules = bv_optax.make(config, params, sched_kw=dict(total_steps=12, batch_size=batch, data_size=1000))
    state = tx.init(params)
    tensors = {f"parameters/{name}": value for name, value in by_name(params).items()}
    norms, factors = [], []
    for step in range(steps):
        # Norms on both sides of the clip, and one far above it.
        gradients = like(params, [0.01, 0.1, 0.02, 3.0, 0.005, 0.05][step])
        norms.append(float(optax.global_norm(gradients)))
        factors.append(float(schedules[0](step)))
        updates, state = tx.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        tensors |= {f"gradients/{step}/{name}": value for name, value in by_name(gradients).items()}
    tensors |= {f"after/{name}": value for name, value in by_name(params).items()}
    store("optax", tensors, dict(
        model=dict(vision=vision, text=text),
        depth=depth,
        optimizer=dict(**settings, multipliers=dict(logit_scale=3, logit_bias=10)),
        schedule=dict(total=12 * batch, warmup=2 * batch),
        batch=batch,
        gradientNorms=norms,
        scheduleFactors=factors,
    ))


def initial_fixture():
    """How flax starts every parameter: its deviation, and how many deviations out its largest number lies."""
    vision = dict(width=64, depth=1, mlp=96, heads=4, patch=4, resolution=16)
    text = dict(width=48, depth=1, mlp=80, heads=4, length=12, vocabulary=150)
    values = by_name(first_values(vision, text, 1, 1))
    # Not their mean: what is drawn has none.
    spread = lambda x: np.sqrt(np.mean(x.astype(np.float64) ** 2))
    facts = {
        name: dict(shape=list(x.shape), deviation=float(spread(x)), largest=float(np.abs(x).max()))
        for name, x in values.items()
    }
    facts = dict(model=dict(vision=vision, text=text), depth=1, parameters=facts, versions=VERSIONS)
    (FOLDER / "initial.json").write_text(json.dumps(facts, indent=1) + "\n")


with jax.enable_x64(True):
    cappa_fixture()
optax_fixture()
initial_fixture()
