"""LoRA adapters as peft trains and saves them, and the weights that they come to when peft merges them.

The model is a SiglipModel as small as tiny-folder.ts has it, but for the table of tokens, which no adapter touches. With the
versions of test/parity/requirements-tuning.txt, from the top of the repository:

    python test/checkpoint/hugging-face/make_adapters.py test/checkpoint/hugging-face/fixtures
    npx biome check --write test/checkpoint/hugging-face/fixtures
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import peft
import torch
from safetensors.numpy import load_file, save_file
from transformers import SiglipConfig, SiglipModel

FOLDER = pathlib.Path(sys.argv[1])


def tower(width, mlp, heads):
    return dict(hidden_size=width, intermediate_size=mlp, num_hidden_layers=1, num_attention_heads=heads)


def build():
    torch.manual_seed(1)
    text = dict(**tower(2, 3, 1), vocab_size=8, max_position_embeddings=4, projection_size=6)
    vision = dict(**tower(6, 5, 2), image_size=4, patch_size=2)
    return SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()


BLOCKS = r"(vision|text)_model\.encoder\.layers\.\d+\.(self_attn\.(q_proj|k_proj|v_proj|out_proj)|mlp\.(fc1|fc2))"
CASES = {
    "blocks": dict(r=2, lora_alpha=6, target_modules=BLOCKS),
    # Endings, as people write them: fc1 means the MLP of the head too.
    "patterns": dict(
        r=1,
        lora_alpha=3,
        target_modules=["q_proj", "fc1"],
        rank_pattern={"q_proj": 2},
        alpha_pattern={"vision_model.head.mlp.fc1": 5},
        use_rslora=True,
    ),
    "dora": dict(r=1, lora_alpha=1, target_modules=["v_proj"], use_dora=True),
}

tensors, facts = {}, dict(versions=dict(torch=torch.__version__, peft=peft.__version__), cases={})
for case, settings in CASES.items():
    model = build()
    linears = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    if case == "blocks":
        for name, module in linears.items():
            tensors[f"base/{name}.weight"] = module.weight.detach().numpy().copy()
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings))
    random = np.random.default_rng(7)
    with torch.no_grad():
        for name, parameter in sorted(adapted.named_parameters()):
            if ".lora_" in name:
                parameter.copy_(torch.from_numpy(random.normal(size=tuple(parameter.shape)).astype(np.float32)))
    with tempfile.TemporaryDirectory() as folder:
        adapted.save_pretrained(folder)
        facts["cases"][case] = json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())
        for name, value in load_file(pathlib.Path(folder) / "adapter_model.safetensors").items():
            tensors[f"{case}/{name}"] = value
    merged = adapted.merge_and_unload()
    for name, value in merged.state_dict().items():
        if f"base/{name}" in tensors and not np.array_equal(value.numpy(), tensors[f"base/{name}"]):
            tensors[f"merged/{case}/{name}"] = value.numpy()

save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, FOLDER / "adapters.safetensors")
(FOLDER / "adapters.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
print(len(tensors), {case: len([n for n in tensors if n.startswith(f"merged/{case}/")]) for case in CASES})
