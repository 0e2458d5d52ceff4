import { pino } from 'pino';
import { variable } from './variables.ts';

/** JSON lines on stdout; `SIGLIP2_LOG` sets the level (debug, info, warn, error). */
export const log = pino({
  level: variable('SIGLIP2_LOG') || 'info',
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  // Stacks help whoever reads this log; credentials must not be in it whatever an error carries along.
  redact: {
    paths: ['*.secretAccessKey', '*.sessionToken', '*.apiKey', 'err.$response', 'err.cause.$response'],
    remove: true,
  },
});
