"""Positions of longer texts: by the lines of Long-CLIP (model/longclip.py, load_from_clip), and by PyTorch's interpolation.

With the versions of test/parity/requirements-tuning.txt, from the top of the repository:

    python test/model/make_positions.py > test/model/fixtures/positions.json
    npx biome check --write test/model/fixtures
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(3)
LENGTH, WIDTH, KEPT = 64, 3, 20
table = torch.randn(LENGTH, WIDTH).double()


def long_clip(pre):
    length, dim = pre.shape
    keep_len = KEPT
    new = torch.zeros([4 * length - 3 * keep_len, dim], dtype=pre.dtype)
    for i in range(keep_len):
        new[i] = pre[i]
    for i in range(length - 1 - keep_len):
        new[4 * i + keep_len] = pre[i + keep_len]
        new[4 * i + 1 + keep_len] = 3 * pre[i + keep_len] / 4 + 1 * pre[i + 1 + keep_len] / 4
        new[4 * i + 2 + keep_len] = 2 * pre[i + keep_len] / 4 + 2 * pre[i + 1 + keep_len] / 4
        new[4 * i + 3 + keep_len] = 1 * pre[i + keep_len] / 4 + 3 * pre[i + 1 + keep_len] / 4
    for k in range(4):
        new[4 * length - 3 * keep_len - 4 + k] = pre[length - 1] + k * (pre[length - 1] - pre[length - 2]) / 4
    return new


def spread(rows, to):
    return F.interpolate(rows.T[None], size=to, mode="linear", align_corners=True)[0].T


cases = [
    dict(how="longClip", to=4 * LENGTH - 3 * KEPT, table=long_clip(table)),
    dict(how="beginning", to=256, table=torch.cat([table[:KEPT], spread(table[KEPT:], 256 - KEPT)])),
    dict(how="even", to=100, table=spread(table, 100)),
]
rows = lambda tensor: [round(value, 7) for value in tensor.flatten().tolist()]
print(json.dumps(dict(torch=torch.__version__, length=LENGTH, width=WIDTH, table=rows(table),
                      cases=[{**case, "table": rows(case["table"])} for case in cases])))
