"""The peer of `npm run bench -- --only loader --peer PYTHON`: what a PyTorch user writes to read the same shards.

webdataset into a DataLoader with worker processes: PIL decodes, torchvision v2 resizes, draws views and normalises,
and the fast Gemma tokenizer of transformers reads the same vocabulary file. Batches come out as float32 and int64.

Speaks the protocol of line-process.ts: one JSON line when warm, then for each line "N" on stdin N batches and one line.
Milliseconds are the mean of a batch.
"""

import argparse
import json
import sys
import time

import torch
import webdataset as wds
from torchvision.transforms import InterpolationMode, v2
from transformers import PreTrainedTokenizerFast


def memory(key):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(key + ":"):
                return 1024 * int(line.split()[1])


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def normalised():
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]


def plain(size):
    return v2.Compose([v2.Resize((size, size), InterpolationMode.BILINEAR), v2.ToImage(), *normalised()])


def view(size, scale, blur, kind):
    """DINO's augmentations, as PIL pictures or as tensors, whichever is faster: both are timed."""
    return v2.Compose(
        [
            *([v2.ToImage()] if kind == "tensor" else []),
            v2.RandomResizedCrop(size, scale=scale, interpolation=InterpolationMode.BICUBIC),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(13, (0.1, 2.0))], blur),
            *([v2.ToImage()] if kind == "pil" else []),
            *normalised(),
        ]
    )


class Example:
    def __init__(self, arguments):
        self.length = arguments.length
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=arguments.tokenizer, pad_token="<pad>")
        self.plain = plain(arguments.size)
        self.views = arguments.views
        if self.views:
            self.whole = view(arguments.size, (0.4, 1.0), 1.0, arguments.kind)
            self.local = view(arguments.local, (0.05, 0.4), 0.5, arguments.kind)

    def __call__(self, example):
        picture, meta = example
        text = meta["captions"]["en"][0].lower()
        tokens = self.tokenizer(
            text, padding="max_length", truncation=True, max_length=self.length, add_special_tokens=False
        )["input_ids"]
        made = {"images": self.plain(picture), "tokens": torch.tensor(tokens)}
        if self.views:
            made["global"] = self.whole(picture)
            made["local"] = torch.stack([self.local(picture) for _ in range(self.views)])
        return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", nargs="+", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--views", type=int, default=0)
    parser.add_argument("--local", type=int, default=0)
    parser.add_argument("--kind", choices=["pil", "tensor"], default="tensor")
    parser.add_argument("--drain", type=int, required=True)
    arguments = parser.parse_args()
    base = memory("VmRSS")
    # Each worker has a part of the shards, over and over, and shuffles a thousand examples.
    data = (
        wds.WebDataset(arguments.shards, shardshuffle=len(arguments.shards), nodesplitter=None, seed=1, empty_check=False)
        .shuffle(1000, initial=100)
        .decode("pilrgb")
        .to_tuple("jpg", "json")
        .map(Example(arguments))
        .repeat()
    )
    loader = torch.utils.data.DataLoader(data, batch_size=arguments.batch, num_workers=arguments.workers)
    batches = iter(loader)
    began = time.perf_counter()
    for _ in range(arguments.drain):
        first = next(batches)
    say({"ready": True, "losses": [], "warmUpMs": 1000 * (time.perf_counter() - began), "base": base,
         "peak": memory("VmHWM"), "threads": arguments.workers, "version": torch.__version__,
         "shapes": {name: list(value.shape) for name, value in first.items()}})
    for line in sys.stdin:
        # What was made while others had their turn counts for nobody.
        for _ in range(arguments.drain):
            next(batches)
        start = time.perf_counter()
        for _ in range(int(line)):
            # Whoever takes a batch looks at it.
            float(next(batches)["images"][0, 0, 0, 0])
        times = [1000 * (time.perf_counter() - start) / int(line)]
        say({"ms": times, "cpuMs": [], "losses": [], "peak": memory("VmHWM"), "stepsPeak": None})


if __name__ == "__main__":
    main()
