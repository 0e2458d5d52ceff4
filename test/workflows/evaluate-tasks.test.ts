import { expect, it } from 'vitest';
import { withinRoom } from '../../workflows/evaluate-tasks.ts';
import type { TaskOutcome } from '../../workflows/results.ts';

it('figures of a hundred phases with twenty tasks fit a payload of Temporal, and where they lie is always said', () => {
  const outcome = (name: string): TaskOutcome => ({
    name,
    key: `evaluations/${'r'.repeat(200)}/${name}/result.json`,
    sha256: 'e'.repeat(64),
    figures: { 'retrieval px-256': { text: 'x'.repeat(3000) } },
  });
  const outcomes = [{ name: 'failed', failure: 'none' }, ...Array.from({ length: 19 }, (_, i) => outcome(`task-${i}`))];
  const carried = withinRoom(outcomes);
  expect(carried.map(({ name }) => name)).toEqual(outcomes.map(({ name }) => name));
  expect(carried.slice(1).map((one) => 'key' in one && one.figures !== null)).toEqual(
    Array.from({ length: 19 }, (_, i) => i < 2),
  );
  expect(carried.slice(1).every((one) => 'key' in one && one.key.endsWith('result.json'))).toBe(true);
  expect(100 * JSON.stringify(carried).length).toBeLessThan(2_000_000);
});
