import { expect, it } from 'vitest';
import { keepIndex } from '../../activities/keep-index.ts';
import { scoresKey } from '../../activities/scores.ts';
import type { Scoring } from '../../activities/types/scoring.ts';
import { openIndex } from '../../src/data/index/open-index.ts';
import type { InlineIndex } from '../../src/data/index/types.ts';
import { canonicalJson, sha256 } from '../../src/runtime/hash.ts';
import { MemoryStore } from '../data/memory-store.ts';

it('an index has the hashes of its shards, and names scores as indexes without them did', async () => {
  const range = { offset: 512, size: 3 };
  const shard = { key: 'd/1.tar', bytes: 9, etag: 'e', examples: [{ name: 'a', image: range, meta: range }] };
  const before: InlineIndex = { prefix: 'd', fingerprint: 'f', examples: 1, shards: [shard], corrupt: [] };
  const index: InlineIndex = { ...before, shards: [{ ...shard, sha256: 'ab'.repeat(32) }] };
  const store = new MemoryStore();
  const kept = await keepIndex(store, 'first', openIndex(index, store), { scored: true });
  expect(kept.sha256).toBe(sha256(canonicalJson(index)));
  expect(JSON.parse(store.objects.get(kept.key)!.toString())).toEqual(index);
  const old = sha256(canonicalJson(before));
  expect(kept.identity).toBe(old);

  const plan = { run: 'first', phase: 'acid', settings: { key: 'k', sha256: 's' } };
  const vision = { kind: 'fixed', resolution: 64, patch: 16 };
  const teacher = {
    checkpoint: { run: 'x', phase: 'y', step: 1, sha256: 't' },
    model: { vision, text: { length: 8 } },
  };
  const keyOf = (of: Scoring['plan']['index']) =>
    scoresKey({ plan: { ...plan, index: of }, teacher, languages: ['en'], dtype: 'f32' } as unknown as Scoring, 0);
  expect(keyOf(kept)).toBe(keyOf({ key: 'of before', sha256: old }));
  expect(keyOf(kept)).not.toBe(keyOf({ key: kept.key, sha256: kept.sha256 }));
});
