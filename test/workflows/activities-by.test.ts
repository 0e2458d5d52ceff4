import { defaultPayloadConverter } from '@temporalio/common';
import { expect, it } from 'vitest';
import { encryption } from '../../src/runtime/payload-codec.ts';
import { summaryOf } from '../../workflows/activities-by.ts';

it('a summary says what an activity is at, and how its log is read', () => {
  const plan = { run: 'pets', phase: 'pretrain' };
  expect(summaryOf({ plan, toStep: 400 }, 'pets/pretrain')).toBe('to step 400; siglip2 logs pets pretrain');
  expect(summaryOf({ plan, shard: 7 }, 'pets/pretrain')).toBe('shard 7; siglip2 logs pets pretrain');
  expect(summaryOf({ run: 'pets', recipe: {} }, 'pets')).toBe('siglip2 logs pets');
  expect(summaryOf({ plan: { document: {} }, figure: 2 }, 'pets/pretrain/zero-shot-20')).toBe(
    'figure 2; siglip2 logs pets pretrain',
  );
  expect(summaryOf(undefined, 'my-pack')).toBe('siglip2 logs my-pack');
});

it('no name makes it larger than Temporal takes, encrypted or not', async () => {
  const long = 'x'.repeat(200);
  const summary = summaryOf({ plan: { run: long, phase: long }, toStep: 1e12 }, `${long}/${long}`);
  expect(summary).toMatch(/^to step 1000000000000; siglip2 logs x+$/);
  expect(summaryOf({}, 'Grüße\n🙂')).toMatch(/^[ -~]+$/);
  const payload = defaultPayloadConverter.toPayload(summary);
  const [sealed] = await encryption(new Uint8Array(32)).encode([payload]);
  const parts = Object.entries(sealed!.metadata!).flatMap(([name, value]) => [name, Buffer.from(value!)]);
  // Of a message in protobuf each part has some bytes of its own.
  const bytes = [...parts, Buffer.from(sealed!.data!)].reduce((sum, part) => sum + part.length + 6, 0);
  expect(bytes).toBeGreaterThan(summary.length);
  expect(bytes).toBeLessThan(400);
});
