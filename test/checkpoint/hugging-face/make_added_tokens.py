"""Writes fixtures/added-tokens.json: ids of texts by transformers, after tokenizer.add_tokens, and of the folder that we export.

    node --import tsx test/checkpoint/hugging-face/write-added-tokens.ts /tmp/added
    python make_added_tokens.py /tmp/added fixtures/added-tokens.json

With transformers 5.23.0 and tokenizers 0.23.3 (test/parity/requirements.txt has the former; torch is not needed).
"""

import json
import sys

from transformers import AutoConfig, AutoTokenizer

folder, out = sys.argv[1:]
words = json.load(open(f"{folder}/words.json"))
texts = [
    "",
    "a photo of a cat.",
    "<sku>",
    "<SKU>",
    "a <sku> and <sku>-XL, and <sku>-x",
    "two<sku><sku>-xl<sku>",
    "Ṣaḥīḥ al-Bukhārī, ṣaḥīḥ and SAHIH",
    "\u1e63ah\u0323i\u0304h\u0323",
    "ΣΚΥΛΟΣ σκυλοσ σκυλος",
    "A.B*(C) is a.b*(c), axb*(c) is not",
    "यह क्षत्रिय है, क्षत्रियों का",
    "prezyxxyzpost zyxxyz",
    "  <sku>  <sku>\n<sku>\t",
    "<eos><sku><EOS>",
    "▁<sku>▁zyxxyz",
    "日本語<sku>の写真",
    "🦉<sku>🦉",
    "x" * 40 + "zyxxyz" + "ab " * 20,
]

added = AutoTokenizer.from_pretrained(f"{folder}/plain")
pieces = [added(word, add_special_tokens=False).input_ids for word in words]
count = added.add_tokens(words)
assert count == len(words), count
exported = AutoTokenizer.from_pretrained(f"{folder}/added")
assert len(exported) == len(added) == 256_000 + len(words), (len(exported), len(added))
rows = []
for text in texts:
    ids = added(text, add_special_tokens=False).input_ids
    assert exported(text, add_special_tokens=False).input_ids == ids, text
    padded = added(text, padding="max_length", truncation=True, max_length=16).input_ids
    assert exported(text, padding="max_length", truncation=True, max_length=16).input_ids == padded, text
    assert exported.decode(ids) == added.decode(ids), text
    rows.append({"text": text, "ids": ids, "padded": padded, "decoded": added.decode(ids, skip_special_tokens=True)})
config = AutoConfig.from_pretrained(f"{folder}/added")
assert config.text_config.vocab_size == 256_000 + len(words)
assert list(config.text_config.added_tokens) == words
again = json.load(open(f"{folder}/added/tokenizer.json"))["added_tokens"]
mine = json.loads(added.backend_tokenizer.to_str())["added_tokens"]
assert again == mine, (again, mine)
with open(out, "w") as file:
    json.dump({"words": words, "pieces": pieces, "texts": rows}, file, ensure_ascii=False, indent=1)
    file.write("\n")
