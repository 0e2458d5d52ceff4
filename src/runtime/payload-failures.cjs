// Loaded by the Temporal SDK, by path, in workers and within the bundle of the workflows: messages and stacks of failures
// become a payload, which the codec encrypts like any other.
const { DefaultFailureConverter } = require('@temporalio/common');
exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
