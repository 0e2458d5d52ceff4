/**
 * Seconds a number on one core, in int8 (AMD EPYC with AVX-512, quiet, the least of many runs: `npm run bench -- --only rounds/work`;
 * test/LOG.md, 2026-11-29; a CPU with AVX2 alone took about twice as long for what can be compared): to write a replica's change, to
 * apply the merged one, to add that of a member to the mean, and for the outer step with what it writes.
 */
export const workPerNumber = { write: 4.5e-9, apply: 5.7e-9, member: 3e-10, merge: 9.3e-9 };

/**
 * What a lane and a merge ask the store and Temporal beside their files, one question after another, and what all of it took of a
 * round whose files are small, with two workers, store and Temporal on one machine (`bench -- --only rounds/link`, test/LOG.md, 2026-11-29).
 */
export const smallAsks = { worker: 14, merger: 45, seconds: 0.8 };

/**
 * Seconds a byte of a state on one core, by the same: to copy what a round does not change into the state after it, to verify it, to
 * load and to save it in the trainer, and to commit it.
 */
export const workPerByte = { copy: 1e-9, verify: 8e-10, load: 3e-10, save: 9e-10, commit: 2.9e-9 };
