import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModelFolder } from '../../../src/checkpoint/hugging-face/model-folder.ts';
import { openModel } from '../../../src/checkpoint/open-model.ts';
import { isRunnerError } from '../../../src/runtime/errors.ts';
import { writeSafetensors } from '../../../src/safetensors/safetensors.ts';
import { tinyTensors, writeFolder } from './tiny-folder.ts';

let folder: string;
let whole: Buffer;
let config: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-hostile-'));
  await writeFolder(join(folder, 'good'), tinyTensors());
  whole = await readFile(join(folder, 'good', 'model.safetensors'));
  config = await readFile(join(folder, 'good', 'config.json'), 'utf8');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Entry {
  dtype: unknown;
  shape: unknown;
  data_offsets: unknown;
}
type Header = Record<string, Entry> & { [name: string]: Entry };

const table = 'text_model.embeddings.token_embedding.weight';
const bias = 'logit_bias';

/** A file of these header bytes, followed by data. */
function file(header: string | Buffer, data: Buffer, claimed?: bigint): Buffer {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, data]);
}
const dataOf = () => whole.subarray(8 + Number(whole.readBigUInt64LE()));
const headerOf = () => JSON.parse(whole.subarray(8, 8 + Number(whole.readBigUInt64LE())).toString()) as Header;
/** The good file with its header changed. */
const changed = (change: (header: Header) => unknown) => () => {
  const header = headerOf();
  const instead = change(header);
  return file(JSON.stringify(instead ?? header), dataOf());
};
const edited = (name: string, field: keyof Entry, value: unknown) =>
  changed((header) => ({ ...header, [name]: { ...header[name]!, [field]: value } }));
const sized = (header: Header, name: string) => header[name]!.data_offsets as [number, number];

const lfsPointer = Buffer.from(
  `version https://git-lfs.github.com/spec/v1\noid sha256:${'ab'.repeat(32)}\nsize 1500000000\n`,
);
const page = Buffer.from('<!doctype html>\n<html><head><title>Log in</title></head></html>\n');

/** What lies in `model.safetensors`, and what is said of it. */
const files: [string, () => Buffer, RegExp][] = [
  ['nothing', () => Buffer.alloc(0), /it has 0 bytes/],
  ['a Git LFS pointer', () => lfsPointer, /it is a Git LFS pointer: git lfs pull fetches the file itself/],
  ['a page', () => page, /it is an HTML page, perhaps of a login or an error/],
  ['seven bytes', () => Buffer.alloc(7), /it has 7 bytes, and the length of its header alone takes 8/],
  ['a giant header', () => file('{}', dataOf(), 1n << 60n), /its header claims 1152921504606846976 bytes/],
  ['a header beyond its end', () => file('{}', Buffer.alloc(10), 5000n), /header of 5000 bytes goes beyond/],
  ['a header that is no JSON', () => file('{"a":', dataOf()), /its header is not JSON/],
  ['a header of a list', () => file('[]', dataOf()), /its header is not a JSON object/],
  ['a header of null', () => file('null', dataOf()), /its header is not a JSON object/],
  ['a header that is no UTF-8', () => file(Buffer.from([0x7b, 0xff, 0x7d]), dataOf()), /not UTF-8/],
  ['no tensors, and data', () => file('{}', dataOf()), /belong to no tensor/],
  [
    'a name twice',
    () =>
      file(
        `{"x":${JSON.stringify({ dtype: 'U8', shape: [1], data_offsets: [0, 1] })},"x":${JSON.stringify({ dtype: 'U8', shape: [1], data_offsets: [0, 1] })}}`,
        Buffer.alloc(1),
      ),
    /names "x" twice/,
  ],
  ['metadata that are no object', changed((h) => ({ ...h, __metadata__: 3 })), /__metadata__ is not an object/],
  ['metadata that are no text', changed((h) => ({ ...h, __metadata__: { a: 1 } })), /metadata "a" is not text/],
  ['a tensor that is a number', changed((h) => ({ ...h, [bias]: 7 })), /"logit_bias" is not described by an object/],
  ['an unknown type', edited(bias, 'dtype', 'F31'), /"logit_bias" has the unknown dtype "F31"/],
  ['a type of the prototype', edited(bias, 'dtype', 'constructor'), /"logit_bias" has the unknown dtype/],
  ['a shape that is no list', edited(bias, 'shape', 1), /"logit_bias" has no shape/],
  ['a negative side', edited(bias, 'shape', [-1]), /"logit_bias" has the impossible shape \[-1\]/],
  ['a broken side', edited(bias, 'shape', [0.5]), /"logit_bias" has the impossible shape/],
  ['a side of text', edited(bias, 'shape', ['1']), /"logit_bias" has the impossible shape/],
  ['sides beyond all numbers', edited(bias, 'shape', [2 ** 40, 2 ** 40]), /"logit_bias" has the impossible shape/],
  ['offsets that are no list', edited(bias, 'data_offsets', 4), /"logit_bias" has the data_offsets 4/],
  ['three offsets', edited(bias, 'data_offsets', [0, 4, 8]), /"logit_bias" has the data_offsets/],
  ['offsets of text', edited(bias, 'data_offsets', ['0', '4']), /"logit_bias" has the data_offsets/],
  ['negative offsets', edited(bias, 'data_offsets', [-4, 0]), /"logit_bias" lies at -4 to 0, outside/],
  ['offsets backwards', edited(bias, 'data_offsets', [8, 4]), /"logit_bias" lies at 8 to 4, outside/],
  ['offsets beyond the end', edited(bias, 'data_offsets', [2 ** 40, 2 ** 40 + 4]), /"logit_bias" lies at .* outside/],
  [
    'fewer bytes than its shape takes',
    edited(bias, 'shape', [2]),
    /"logit_bias" of F32 \[2\] takes 8 bytes, and has 4/,
  ],
  ['tensors one over another', changed((h) => ({ ...h, logit_scale: h[bias]! })), /overlaps the one before it/],
  [
    'a gap',
    changed((h) => {
      const { [bias]: _, ...rest } = h;
      return rest;
    }),
    /bytes before tensor .* belong to none|belong to no tensor/,
  ],
  ['a cut end', () => whole.subarray(0, whole.length - 4), /lies at .* outside/],
  ['a cut header', () => whole.subarray(0, 500), /its header of \d+ bytes goes beyond its 500 bytes/],
  ['bytes too many', () => Buffer.concat([whole, Buffer.alloc(3)]), /its last 3 bytes belong to no tensor/],
  [
    'a tensor under another name',
    changed((h) => {
      const { [bias]: own, ...rest } = h;
      return { ...rest, logit_bais: own };
    }),
    /it has the tensor logit_bais, which no such model has/,
  ],
  [
    'a tensor too many',
    () => {
      const header = headerOf();
      const end = dataOf().length;
      header['decoder.lm_head.bias'] = { dtype: 'F32', shape: [1], data_offsets: [end, end + 4] };
      return file(JSON.stringify(header), Buffer.concat([dataOf(), Buffer.alloc(4)]));
    },
    /it has the tensor decoder.lm_head.bias, which no such model has/,
  ],
  ['whole numbers for floats', edited(bias, 'dtype', 'I32'), /tensor logit_bias is I32; F32, BF16 and F16 are allowed/],
  [
    'a turned shape',
    edited(table, 'shape', [2, 256_000]),
    /token_embedding.weight has the shape \[2,256000\], and config.json says \[256000,2\]/,
  ],
  ['a flat shape', edited(table, 'shape', [512_000]), /token_embedding.weight has the shape \[512000\]/],
  [
    'the shapes of another size',
    changed((h) => {
      const name = 'vision_model.head.mlp.fc1.weight';
      const [first, end] = sized(h, name);
      h[name]!.shape = [(end - first) / 4, 1];
    }),
    /fc1.weight has the shape \[30,1\], and config.json says \[5,6\]/,
  ],
];

const withConfig =
  (
    change: (
      config: { text_config: Record<string, unknown>; vision_config: Record<string, unknown> } & Record<
        string,
        unknown
      >,
    ) => unknown,
  ) =>
  () => {
    const json = JSON.parse(config);
    return JSON.stringify(change(json) ?? json);
  };
const configured = (tower: 'text_config' | 'vision_config', field: string, value: unknown) =>
  withConfig((config) => ({ ...config, [tower]: { ...config[tower], [field]: value } }));
/** What lies in `config.json`. */
const configs: [string, () => string, RegExp][] = [
  ['no JSON', () => '{', /it is not JSON/],
  ['a Git LFS pointer', () => lfsPointer.toString(), /config.json is a Git LFS pointer: git lfs pull/],
  ['a page', () => page.toString(), /config.json is an HTML page/],
  ['a list', () => '[]', /it is not a JSON object/],
  ['another model', withConfig((c) => ({ ...c, model_type: 'clip' })), /model_type is "clip"; allowed: "siglip"/],
  ['no towers', () => '{"model_type":"siglip"}', /text_config is missing/],
  ['a giant width', configured('vision_config', 'hidden_size', 1e9), /vision_config.hidden_size is 1000000000/],
  ['a negative depth', configured('text_config', 'num_hidden_layers', -1), /text_config.num_hidden_layers is -1/],
  [
    'heads that do not divide',
    configured('vision_config', 'num_attention_heads', 4),
    /num_attention_heads is 4; a divisor of hidden_size 6/,
  ],
  ['no heads', configured('vision_config', 'num_attention_heads', 0), /num_attention_heads is 0/],
  ['another activation', configured('text_config', 'hidden_act', 'relu'), /text_config.hidden_act is "relu"/],
  ['another vocabulary', configured('text_config', 'vocab_size', 32_000), /text_config.vocab_size is 32000/],
  ['a model without a head', configured('vision_config', 'vision_use_head', false), /vision_use_head is false/],
  [
    'texts of another space',
    configured('text_config', 'projection_size', 7),
    /projection_size is 7; the image tower's hidden_size 6/,
  ],
  ['patches above the image', configured('vision_config', 'patch_size', 9), /patch_size is 9; at most image_size/],
  [
    'positions that are no square',
    withConfig((c) => {
      c.model_type = 'siglip2';
      c.vision_config.num_patches = 5;
    }),
    /num_patches is 5; the square of a whole number/,
  ],
  ['another size than its tensors', configured('vision_config', 'intermediate_size', 4), /config.json says \[4,6\]/],
];

const shard = 'model-00001-of-00002.safetensors';
/** What lies in `model.safetensors.index.json`. */
const indexes: [string, (map: Record<string, string>) => string, RegExp][] = [
  ['no JSON', () => 'x', /has no weight_map/],
  ['no map', () => '{}', /has no weight_map/],
  ['files that are numbers', () => '{"weight_map":{"a":1}}', /has no weight_map/],
  [
    'a file that is not there',
    (map) => JSON.stringify({ weight_map: { ...map, [bias]: 'model-00009-of-00009.safetensors' } }),
    /it lacks the file model-00009/,
  ],
  [
    'a file outside',
    (map) => JSON.stringify({ weight_map: { ...map, [bias]: '../../secret.safetensors' } }),
    /logit_bias lies in "..\/..\/secret.safetensors", which is no file beside it/,
  ],
  [
    'an absolute file',
    (map) => JSON.stringify({ weight_map: { ...map, [bias]: '/etc/passwd' } }),
    /"\/etc\/passwd", which is no file beside it/,
  ],
  [
    'a tensor in the wrong file',
    (map) =>
      JSON.stringify({ weight_map: { ...map, [bias]: map[bias] === shard ? shard.replace('1-of', '2-of') : shard } }),
    /lacks the tensor logit_bias, which .* says is there/,
  ],
  [
    'a tensor left out',
    ({ [bias]: _, ...map }) => JSON.stringify({ weight_map: map }),
    /has the tensor logit_bias, of which .* says nothing/,
  ],
];

async function refusal(path: string): Promise<string> {
  const error = await openModelFolder(path).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(isRunnerError(error, 'RecipeInvalid'), String(error)).toBe(true);
  const { message } = error as Error;
  expect(message.split('\n')).toHaveLength(1);
  return message;
}
const fresh = async (name: string) => {
  const path = join(folder, name.replaceAll(/[^a-z]/g, '-'));
  await mkdir(path, { recursive: true });
  return path;
};

describe('a hostile model', () => {
  it('is one of at least 40', () => {
    expect(files.length + configs.length + indexes.length).toBeGreaterThanOrEqual(40);
  });

  it.each(files)('file with %s is refused by name', async (name, make, message) => {
    const path = await fresh(`file ${name}`);
    await writeFile(join(path, 'config.json'), config);
    await writeFile(join(path, 'model.safetensors'), make());
    expect(await refusal(path)).toMatch(message);
  });

  it.each(configs)('config of %s is refused by name', async (name, make, message) => {
    const path = await fresh(`config ${name}`);
    await writeFile(join(path, 'config.json'), make());
    await writeFile(join(path, 'model.safetensors'), whole);
    expect(await refusal(path)).toMatch(message);
  });

  it.each(indexes)('index of %s is refused by name', async (name, make, message) => {
    const path = await fresh(`index ${name}`);
    await writeFolder(path, tinyTensors(), { shards: 2 });
    const index = join(path, 'model.safetensors.index.json');
    await writeFile(index, make(JSON.parse(await readFile(index, 'utf8')).weight_map));
    expect(await refusal(path)).toMatch(message);
  });

  it.each([
    [Number.NaN, /tensor logit_scale holds NaN at place 0 of its numbers/],
    [Number.POSITIVE_INFINITY, /tensor logit_scale holds Infinity at place 0/],
    [Number.NEGATIVE_INFINITY, /tensor logit_scale holds -Infinity at place 0/],
  ])('weight of %d is refused by the name of its tensor when it is read', async (value, message) => {
    const path = await fresh(`weight ${value}`);
    const tensors = tinyTensors().map((tensor) =>
      tensor.name === 'logit_scale' ? { ...tensor, data: new Uint8Array(Float32Array.of(value).buffer) } : tensor,
    );
    await writeFolder(path, tensors);
    const model = await openModel(path);
    const written = writeSafetensors(join(path, 'again.safetensors'), model.tensors);
    await expect(written).rejects.toMatchObject({ code: 'RecipeInvalid', message: expect.stringMatching(message) });
    await model.close();
  });

  it('folder without files is refused, and one that shrinks while it is read is never half a model', async () => {
    const path = await fresh('empty');
    expect(await refusal(path)).toMatch(/config.json is missing/);
    await writeFile(join(path, 'config.json'), config);
    expect(await refusal(path)).toMatch(/neither model.safetensors nor model.safetensors.index.json/);
    await writeFile(join(path, 'model.safetensors'), whole);
    const model = await openModelFolder(path);
    await truncate(join(path, 'model.safetensors'), whole.length - 100_000);
    const read = async () => {
      for (const { data } of model.tensors) for await (const _ of (data as () => AsyncIterable<Uint8Array>)());
    };
    await expect(read()).rejects.toThrow(/became shorter while it was read in tensor/);
    await model.close();
  });
});
