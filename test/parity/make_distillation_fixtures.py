"""Reference numbers from DINO's and iBOT's own code: their heads, losses and centres, and torch's autograd, in double precision.

Nothing of either is stored here. The script imports them from clones, which it takes as its arguments:

    git clone https://github.com/facebookresearch/dino && git -C dino checkout 7c446df5b9f45747937fb0d72314eb9f7b66930a
    git clone https://github.com/bytedance/ibot && git -C ibot checkout da316d82636a7a7356835ef224b13d5f3ace0489
    pip install -r test/parity/requirements.txt
    python test/parity/make_distillation_fixtures.py dino ibot test/parity/fixtures
    npm run format

One thing is changed: their GELU is the erf form and becomes the tanh form, which this project has. What the erf form would
have said of the first step is stored too, so that the difference is known.
"""

import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest.mock

import numpy as np
import torch
from safetensors.numpy import save_file

DINO, IBOT, FOLDER = (pathlib.Path(path) for path in sys.argv[1:])
WIDTH, SIZE = 6, dict(hidden=10, bottleneck=5, prototypes=9)
IMAGES, PATCHES, MASKED, LOCAL = 3, 5, 2, 3
STUDENT, TEACHER, MOMENTUM = 0.1, 0.04, 0.9
STEPS = 3


def commit(clone):
    return subprocess.check_output(["git", "-C", clone, "rev-parse", "HEAD"], text=True).strip()


def load(clone, main, *more):
    """Modules of a clone. Both have a `utils`, and both ask for packages that a loss does not need."""
    unneeded = "torchvision timm timm.models timm.models.layers timm.models.registry tensorboardX sklearn munkres PIL loader evaluation"
    stubs = {name: unittest.mock.MagicMock() for name in [*unneeded.split(), "evaluation.unsupervised", "evaluation.unsupervised.unsup_cls"]}
    with unittest.mock.patch.dict(sys.modules, stubs), unittest.mock.patch.object(sys, "path", [str(clone), *sys.path]):
        return [importlib.import_module(name) for name in (main, *more)]


def randomise(head, random, approximate):
    with torch.no_grad():
        for name, parameter in sorted(head.named_parameters()):
            if not name.endswith("weight_g"):
                values = random.normal(size=tuple(parameter.shape)) * 0.7
                parameter.copy_(torch.from_numpy(values.astype(np.float32).astype(np.float64)))
    for module in head.modules():
        if isinstance(module, torch.nn.GELU):
            module.approximate = approximate
    return head


def drawn(random, *shape):
    return torch.from_numpy(random.normal(size=shape).astype(np.float32).astype(np.float64))


def named(prefix, head, last, of=lambda parameter: parameter):
    """Parameters of a head by our names: those of DINO, without weight_g, which is fixed at one."""
    for name, parameter in head.named_parameters():
        if name.startswith("mlp."):
            yield f"{prefix}{name}", of(parameter)
        if name == f"{last}.weight_v":
            yield f"{prefix}last_layer.weight_v", of(parameter)


def dino(tensors, approximate="tanh"):
    """DINO's loss takes two global views and every view of the student but the same: each pair is one of ours."""
    main, vits = load(DINO, "main_dino", "vision_transformer")
    random = np.random.default_rng(20250225)
    make = lambda: randomise(vits.DINOHead(WIDTH, SIZE["prototypes"], **head_size()).double(), random, approximate)
    student, teacher = make(), make()
    crops = 2 + LOCAL
    loss_of = main.DINOLoss(SIZE["prototypes"], crops, TEACHER, TEACHER, 0, 1, STUDENT, MOMENTUM).double()
    losses = []
    for step in range(STEPS):
        views, seen = drawn(random, crops, IMAGES, WIDTH), drawn(random, 2, IMAGES, WIDTH)
        rows = views.reshape(-1, WIDTH).requires_grad_()
        student.zero_grad()
        loss = loss_of(student(rows), teacher(seen.reshape(-1, WIDTH)).detach(), 0)
        loss.backward()
        losses.append(loss.item())
        tensors[f"dino/{step}/student"], tensors[f"dino/{step}/teacher"] = views, seen
        tensors[f"dino/{step}/center"] = loss_of.center[0].clone()
        if step == 0:
            tensors["dino/gradients/student"] = rows.grad.reshape(views.shape)
            tensors |= dict(named("dino/gradients/", student, "last_layer", lambda p: p.grad.clone()))
    tensors |= dict(named("dino/parameters/", student, "last_layer"))
    tensors |= dict(named("dino/teacher/", teacher, "last_layer"))
    return losses


def ibot(tensors, approximate="tanh"):
    """iBOT's loss of patches, of two global views: each is an image of ours."""
    main, heads = load(IBOT, "main_ibot", "models.head")
    random = np.random.default_rng(20250226)
    prototypes = SIZE["prototypes"]
    make = lambda: randomise(
        heads.iBOTHead(WIDTH, 4, patch_out_dim=prototypes, **head_size()).double(), random, approximate
    )
    student, teacher = make(), make()
    temperatures = (TEACHER, TEACHER, TEACHER, TEACHER, 0, 1)
    loss_of = main.iBOTLoss(4, prototypes, 2, 0, *temperatures, STUDENT, MOMENTUM, MOMENTUM).double()
    losses = []
    for step in range(STEPS):
        rows = 2 * IMAGES
        said, seen = drawn(random, rows, 1 + PATCHES, WIDTH).requires_grad_(), drawn(random, rows, 1 + PATCHES, WIDTH)
        masked = np.sort(random.permuted(np.tile(np.arange(PATCHES), (rows, 1)), axis=1)[:, :MASKED])
        mask = torch.zeros(rows, 1, PATCHES)
        mask[np.arange(rows)[:, None], 0, masked] = 1
        student.zero_grad()
        taught = tuple(x.detach() for x in teacher(seen))
        loss = loss_of(student(said), taught, None, mask.chunk(2), 0)["patch"]
        loss.backward()
        losses.append(loss.item())
        tensors[f"ibot/{step}/student"], tensors[f"ibot/{step}/teacher"] = said.detach()[:, 1:], seen[:, 1:]
        tensors[f"ibot/{step}/masked"] = torch.from_numpy(masked.astype(np.int32))
        tensors[f"ibot/{step}/center"] = loss_of.center2[0, 0].clone()
        if step == 0:
            tensors["ibot/gradients/student"] = said.grad[:, 1:]
            tensors |= dict(named("ibot/gradients/", student, "last_layer2", lambda p: p.grad.clone()))
    tensors |= dict(named("ibot/parameters/", student, "last_layer2"))
    tensors |= dict(named("ibot/teacher/", teacher, "last_layer2"))
    return losses


def head_size():
    return dict(hidden_dim=SIZE["hidden"], bottleneck_dim=SIZE["bottleneck"])


# The losses add up the centres of all processes: there is one.
with tempfile.TemporaryDirectory() as folder:
    torch.distributed.init_process_group("gloo", f"file://{folder}/all", rank=0, world_size=1)
    tensors = {}
    losses = {"dino": dino(tensors), "ibot": ibot(tensors)}
    erf = {"dino": dino({}, "none")[0], "ibot": ibot({}, "none")[0]}
    torch.distributed.destroy_process_group()
arrays = {name: np.ascontiguousarray(value.detach().numpy()) for name, value in tensors.items()}
single = {name: value.astype(np.float32) if value.dtype == np.float64 else value for name, value in arrays.items()}
save_file(single, FOLDER / "distillation.safetensors")
(FOLDER / "distillation.safetensors").chmod(0o644)
facts = dict(
    width=WIDTH,
    settings=dict(**SIZE, studentTemperature=STUDENT, teacherTemperature=TEACHER, centerMomentum=MOMENTUM),
    losses=losses,
    erfLosses=erf,
    versions=dict(dino=commit(DINO), ibot=commit(IBOT), torch=torch.__version__),
)
(FOLDER / "distillation.json").write_text(json.dumps(facts, indent=2) + "\n")
