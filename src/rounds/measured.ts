/**
 * Seconds a number on one core, in int8 (test/LOG.md, 2026-11-27): to write a replica's change, to apply the merged one, to add
 * that of a member to the mean, and for the outer step with what it writes.
 */
export const workPerNumber = { write: 1.1e-8, apply: 6.3e-9, member: 2.4e-9, merge: 1.65e-8 };
