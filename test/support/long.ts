/** Whether long forms run, as `npm test -- --long` has it. `npm test` runs short ones, and leaves out what has none. */
export const long = process.env.TEST_LONG === '1';
