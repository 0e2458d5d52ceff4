"""Runs the example of the model card in exported folders, as their reader would: what it says, and what it prints.

With transformers 5.24.0 and otherwise the versions of requirements.txt:

    node --import tsx test/parity/write-card.ts DIR
    python test/parity/run_card.py DIR > test/parity/fixtures/card.json
    npx biome check --write test/parity/fixtures/card.json
"""

import contextlib
import io
import json
import os
import pathlib
import re
import sys

import transformers

transformers.logging.set_verbosity_error()
answers = {"transformers": transformers.__version__}
for kind in ("fixed", "naflex"):
    folder = pathlib.Path(sys.argv[1], kind).resolve()
    snippet = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
    os.chdir(folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(snippet, {})
    answers[kind] = {"snippet": snippet, "printed": printed.getvalue()}
print(json.dumps(answers, indent=2))
