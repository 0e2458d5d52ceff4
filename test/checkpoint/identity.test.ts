import { expect, test } from 'vitest';
import { checkpointSha256 } from '../../src/checkpoint/identity.ts';
import { canonicalJson, hashJson } from '../../src/runtime/hash.ts';

test('the order of files and of fields changes no hash, their content does', () => {
  const a = { path: 'model.safetensors', sha256: '1'.repeat(64) };
  const b = { path: 'training-moments.safetensors', sha256: '2'.repeat(64) };
  expect(checkpointSha256([a, b])).toBe(checkpointSha256([b, a]));
  expect(checkpointSha256([a, b])).not.toBe(
    checkpointSha256([
      { ...a, sha256: b.sha256 },
      { ...b, sha256: a.sha256 },
    ]),
  );
  expect(hashJson({ a: 1, b: [1, { c: 2, d: undefined }] })).toBe(hashJson({ b: [1, { c: 2 }], a: 1 }));
  expect(hashJson({ a: [1, 2] })).not.toBe(hashJson({ a: [2, 1] }));
});

test('the hash is the one that sha256sum gives', () => {
  // printf '%064d  b\n' 1 | sha256sum, and of nothing.
  expect(checkpointSha256([{ path: 'b', sha256: `${'0'.repeat(63)}1` }])).toBe(
    '9b11787185a2ec79feaaa911d63524dd4e7b04a46d9849ca18e16b96f3718de8',
  );
  expect(checkpointSha256([])).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('canonical JSON is JSON', () => {
  const value = { z: [null, true, 'é\n', 1e-7, -0], a: { '10': 1, '9': 2 } };
  expect(canonicalJson(value)).toBe('{"a":{"10":1,"9":2},"z":[null,true,"é\\n",1e-7,0]}');
  expect(() => canonicalJson({ loss: Number.NaN })).toThrow('NaN has no JSON');
});
