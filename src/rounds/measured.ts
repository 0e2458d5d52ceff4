/**
 * Seconds a number on one core, in int8 (AMD EPYC with avx2, the least of many runs beside other work: `npm run bench -- --only
 * rounds/work`, merging in a process of its own; test/LOG.md, 2026-11-28): to write a replica's change, to apply the merged one, to add
 * that of a member to the mean, and for the outer step with what it writes.
 */
export const workPerNumber = { write: 1.7e-8, apply: 1.7e-8, member: 9e-9, merge: 3.5e-8 };

/**
 * Seconds a byte of a state on one core, by the same: to copy what a round does not change into the state after it, to verify it, to
 * load and to save it in the trainer, and to commit it.
 */
export const workPerByte = { copy: 2.7e-9, verify: 1.2e-9, load: 1.8e-9, save: 1.7e-9, commit: 5.2e-9 };
