import { isRunnerError } from '../runtime/errors.ts';

/**
 * Where the trainer process begins. TensorFlow is loaded while `trainer.ts` is imported: a machine on which that fails
 * gets one sentence to its worker.
 */
try {
  await import('./trainer.ts');
} catch (error) {
  const code = isRunnerError(error) ? error.code : 'TrainerCrashed';
  const message = (error as Error).message.split('\n')[0];
  process.send?.({ type: 'failed', id: 0, code, message, details: {} }, () => process.exit(1));
}
