import { afterAll, beforeAll, expect, it } from 'vitest';
import { keepDocumentBelow } from '../../activities/documents.ts';
import { embedShard } from '../../activities/embed-shard.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { weightsIn } from '../../src/data/index/weight-file.ts';
import { unseen } from '../../src/filtering/agreement.ts';
import { planFilter, stagesOf } from '../../src/filtering/plan.ts';
import { parseFilter } from '../../src/filtering/settings.ts';
import { keysOf } from '../../src/filtering/step.ts';
import { fullVocabulary } from '../../src/model/sizes.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { toFloat32 } from '../../src/safetensors/float-bytes.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { embedOneByOne, type TaughtData, taughtData } from '../scoring/teacher.ts';
import { type Hands, hands } from './fixture.ts';

// A real model in a real checkpoint, a real trainer process, a real S3 server.
let data: TaughtData;
let on: Hands;
let trainer: TrainerProcess;

beforeAll(async () => {
  data = await taughtData();
  on = hands();
  const lockFile = `${data.folder}/device.lock`;
  trainer = createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, env: data.env });
}, 120_000);
afterAll(async () => {
  await trainer.close();
  await on.close();
  await data.stop();
});

it('is embedded as its examples are one by one, kept once, and asks for no device again', async () => {
  const { store, model, index } = data;
  const { ref } = await commitCheckpoint(store, {
    ...{ run: 'first', phase: 'curated', revision: 0, step: 40, examples: 400, attempt: 'a' },
    ...{ folder: data.folder, state: data.state, sidecars: [], parent: null, skipped: [] },
    ...{ recipeHash: 'r', codeVersion: 't', dataFingerprint: index.fingerprint, inputHash: sha256('inputs') },
    metrics: { loss: 1, examplesPerSecond: 1, dataWaitShare: 0 },
  });
  const settings = parseFilter({
    ...{ name: 'taught', data: index.prefix, model: { run: 'first', phase: 'curated' }, resize: 'big_vision' },
    ...{ agreement: { languages: ['en', 'de'], lowest: 0.5 }, embeddingDuplicates: {} },
  });
  // Checkpoints have the whole table of tokens.
  const config = { ...model, text: { ...model.text, vocabulary: fullVocabulary } };
  const plan = await planFilter(store, settings, { name: 'first/curated@40', checkpoint: ref, config });
  const document = await keepDocumentBelow(store, 'filters/taught/plans/', 'plan', plan);
  expect(stagesOf(plan)[0]).toEqual({ step: 'embed', parts: 2 });
  const of = (part: number) =>
    ({ begun: { document, name: 'taught', filter: plan.filter }, step: 'embed', part }) as const;
  const deps = on.deps(store, { trainer });
  for (const part of [0, 1]) await embedShard(deps, of(part), on.attempt());
  const { trainer: _, ...none } = deps;
  for (const part of [0, 1]) expect(await embedShard(none, of(part), on.attempt())).toEqual({ step: 'embed' });

  const { rows } = await embedOneByOne(data);
  const keys = keysOf(plan);
  const width = plan.model!.width;
  for (const part of [0, 1]) {
    const cosines = weightsIn(await store.get(keys.cosines(part)));
    const images = new Float32Array(toFloat32(Uint8Array.from(await store.get(keys.rows(part))), 'BF16').buffer);
    expect(cosines).toHaveLength(rows[part]!.length);
    for (const [i, one] of rows[part]!.entries()) {
      if (one === null) {
        expect(cosines[i]).toBe(unseen);
        continue;
      }
      const { image, texts } = one;
      const told = [texts.en, texts.de].flatMap((text) =>
        text ? [text.reduce((sum, value, at) => sum + value * image[at]!, 0)] : [],
      );
      expect(cosines[i]).toBeCloseTo(Math.max(...told), 4);
      expect(images[i * width]).toBeCloseTo(image[0]!, 2);
    }
  }

  // Another kind of CPU makes other last bits: what an earlier attempt has put, and others have read, is not replaced.
  const first = keys.cosines(0);
  const others = Buffer.from(await store.get(first));
  others.writeFloatLE(0.125, 0);
  await store.put(first, others);
  await store.put(keys.rows(0), 'cut short');
  await store.delete(keys.sample(0));
  await embedShard(deps, of(0), on.attempt());
  expect(Buffer.from(await store.get(first)).equals(others)).toBe(true);
  expect(await store.head(keys.rows(0))).toMatchObject({ bytes: 2 * width * rows[0]!.length });
  expect(await store.head(keys.sample(0))).not.toBeNull();
});
