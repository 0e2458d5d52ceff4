import { expect, it } from 'vitest';
import { newJobs } from './rule.ts';

/** Numbers of KEDA's own tests of its strategies, where a queue as long as the most that is wanted asks for them. */
const accurate = [
  // Most that is wanted, running, pending, maxReplicaCount, new jobs.
  [3, 2, 0, 5, 3],
  [5, 2, 0, 5, 3],
  [3, 4, 2, 10, 1],
  [5, 4, 2, 5, 1],
  [3, 3, 3, 5, 0],
  [15, 15, 15, 20, 0],
  [10, 10, 10, 15, 0],
  [20, 15, 10, 20, 5],
] as const;

it.each(accurate)(
  'accurate: %d wanted, %d running, %d pending, at most %d: %d',
  (queue, running, pending, most, jobs) => {
    const scaled = { strategy: 'accurate', maxReplicaCount: most, target: 1 } as const;
    expect(newJobs(scaled, { queue, running, pending })).toBe(jobs);
  },
);

it.each([
  [3, 2, 5, 1],
  [2, 0, 5, 2],
])('default: %d wanted, %d running, at most %d: %d', (queue, running, most, jobs) => {
  const scaled = { strategy: 'default', maxReplicaCount: most, target: 1 } as const;
  expect(newJobs(scaled, { queue, running, pending: 0 })).toBe(jobs);
});

it('default starts nothing for a task that waits beside busy workers, since a backlog does not count what they do', () => {
  const look = { queue: 1, running: 2, pending: 0 };
  expect(newJobs({ strategy: 'default', maxReplicaCount: 8, target: 1 }, look)).toBe(0);
  expect(newJobs({ strategy: 'accurate', maxReplicaCount: 8, target: 1 }, look)).toBe(1);
});

it('an empty queue starts nothing, and a target above one shares workers', () => {
  expect(newJobs({ strategy: 'accurate', maxReplicaCount: 8, target: 1 }, { queue: 0, running: 0, pending: 0 })).toBe(
    0,
  );
  expect(newJobs({ strategy: 'accurate', maxReplicaCount: 8, target: 5 }, { queue: 11, running: 0, pending: 0 })).toBe(
    3,
  );
});
