"""What transformers makes of an exported folder: ids of texts, logits of images and texts, as JSON.

The folder holds inputs.json: texts, and images of the model's resolution as base64 of rows of RGB bytes. A stored
answer is made with the versions of requirements.txt by

    node --import tsx test/parity/write-export.ts FOLDER
    python test/parity/check_export.py FOLDER > test/parity/fixtures/export.json

With --texts and --images it takes those instead, for any export:

    python test/parity/check_export.py FOLDER --texts "a cat" "a dog" --images cat.png
"""

import argparse
import base64
import hashlib
import json
import pathlib
import warnings

import numpy as np
import torch
import transformers
from PIL import Image

arguments = argparse.ArgumentParser()
arguments.add_argument("folder", type=pathlib.Path)
arguments.add_argument("--texts", nargs="+")
arguments.add_argument("--images", nargs="+")
arguments = arguments.parse_args()

# A warning about the folder is a fault of the folder.
warnings.simplefilter("error")

model, loading = transformers.AutoModel.from_pretrained(arguments.folder, output_loading_info=True)
assert not any(loading.values()), loading
processor = transformers.AutoProcessor.from_pretrained(arguments.folder)
tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)

if arguments.texts:
    texts = arguments.texts
    images = [Image.open(path).convert("RGB") for path in arguments.images]
else:
    inputs = json.loads((arguments.folder / "inputs.json").read_text())
    texts = inputs["texts"]
    side = inputs["resolution"]
    pixels = np.frombuffer(base64.b64decode(inputs["images"]), dtype=np.uint8)
    images = [Image.fromarray(image) for image in pixels.reshape(-1, side, side, 3)]

batch = processor(text=texts, images=images, padding="max_length", truncation=True, return_tensors="pt")
assert batch["input_ids"].tolist() == tokenizer(texts, padding="max_length", truncation=True)["input_ids"]
with torch.no_grad():
    output = model.eval()(**batch)
print(
    json.dumps(
        dict(
            transformers=transformers.__version__,
            torch=torch.__version__,
            model=type(model).__name__,
            # What the answer was given for: a test sees when the project writes something else.
            files={
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(arguments.folder.glob("*.json"))
                if path.name != "inputs.json"
            },
            input_ids=batch["input_ids"].tolist(),
            logits_per_image=output.logits_per_image.tolist(),
        )
    )
)
