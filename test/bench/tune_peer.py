"""The peer of `npm run bench -- --only tune --peer PYTHON`: the same fine-tuning with PyTorch, transformers and peft.

The model is transformers' from the same folder, the batch is the one that our side wrote, what is trained is what `recipe new`
writes. Needs test/parity/requirements-tuning.txt. Speaks the protocol of line-process.ts, as peer.py does.
"""

import argparse
import json
import math
import pathlib
import resource
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import SiglipModel


def memory(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak():
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        return True
    except OSError:
        return False


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


BLOCKS = r"(vision|text)_model\.encoder\.layers\.\d+\.(self_attn\.(q_proj|k_proj|v_proj|out_proj)|mlp\.(fc1|fc2))"
RATES = dict(lora=1e-4, lit=4e-4, finetune=1e-5)


def prepare(model, task):
    if task == "lora":
        import peft

        return peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules=BLOCKS, lora_dropout=0.0))
    if task == "lit":
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith("text_model.") and "token_embedding" not in name
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--task", choices=list(RATES), required=True)
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    arguments = parser.parse_args()
    base = memory("VmRSS")
    began = time.perf_counter()
    batch = load_file(f"{arguments.folder}/batch.safetensors")
    pixels = batch["images"].permute(0, 3, 1, 2).float() / 127.5 - 1
    inputs = dict(input_ids=batch["tokens"].long(), pixel_values=pixels)
    model = prepare(SiglipModel.from_pretrained(arguments.folder, attn_implementation="sdpa"), arguments.task).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=RATES[arguments.task], betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, fused=True
    )
    autocast = arguments.precision == "bf16"

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = model(**inputs, return_loss=True).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit(f"the loss became {value}")
        return value

    losses = [step() for _ in range(arguments.warm_up)]
    peak_before = memory("VmHWM")
    reset = forget_peak()
    say({"ready": True, "losses": losses, "warmUpMs": 1000 * (time.perf_counter() - began), "base": base,
         "peak": peak_before, "threads": torch.get_num_threads(), "version": torch.__version__})
    for line in sys.stdin:
        times, cpu, found = [], [], []
        for _ in range(int(line)):
            started, cpu_started = time.perf_counter(), time.process_time()
            found.append(step())
            times.append(1000 * (time.perf_counter() - started))
            cpu.append(1000 * (time.process_time() - cpu_started))
        peak = memory("VmHWM")
        say({"ms": times, "cpuMs": cpu, "losses": found, "peak": max(peak_before, peak), "stepsPeak": peak if reset else None})


main()
