/** Whether long forms run, as `npm test -- --long` has it. Each of them has a short form, which `npm test` runs. */
export const long = process.env.TEST_LONG === '1';
