"""What transformers answers to folders of many processor settings, as they are and after `convert`.

With the versions of test/parity/requirements.txt, but transformers 5.24.0, from the top of the repository:

    node --import tsx test/checkpoint/hugging-face/write-processing.ts DIR
    python test/checkpoint/hugging-face/make_processing.py DIR > test/checkpoint/hugging-face/fixtures/processing.json
    npx biome check --write test/checkpoint/hugging-face/fixtures
"""

import hashlib
import json
import pathlib
import sys

import torch
import transformers
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

transformers.logging.set_verbosity_error()
root = pathlib.Path(sys.argv[1])
table = json.loads((root / "cases.json").read_text())


def rows(output):
    tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    tensor = tensor / tensor.norm(dim=-1, keepdim=True)
    return [[round(value, 7) for value in row] for row in tensor.tolist()]


@torch.no_grad()
def answer(folder, case):
    model = AutoModel.from_pretrained(folder).eval()
    answered = {"images": [], "texts": []}
    if case["pictures"]:
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        for name in case["pictures"]:
            image = Image.open(root / name).convert("RGB")
            answered["images"] += rows(model.get_image_features(**processor(images=image, return_tensors="pt")))
    if "tokenizer" in case:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokens = tokenizer(
            table["texts"], padding="max_length", max_length=table["length"], truncation=True, return_tensors="pt"
        )
        answered["texts"] = rows(model.get_text_features(input_ids=tokens["input_ids"]))
    return answered


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


answers = []
for i, case in enumerate(table["cases"]):
    before, after = (root / kind / str(i) for kind in ("before", "after"))
    both = answer(before, case), answer(after, case)
    assert both[0] == both[1], case["name"]
    answers.append({"name": case["name"], **both[0], "after": hashes(after)})
print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "cases": answers}, indent=1))
