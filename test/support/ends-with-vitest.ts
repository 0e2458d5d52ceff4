/**
 * A process of vitest that loses its vitest, which nobody asked to end, would go on with its test, and hold services that
 * nobody stops.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
