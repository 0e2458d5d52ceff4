import { createProgram } from './program.ts';
import { endProcess } from './runtime/end-process.ts';
import { reportError } from './runtime/report-error.ts';

/** `npm run siglip2 -- COMMAND`; without a command it says which there are. */
const program = createProgram();
try {
  if (process.argv.length > 2) await program.parseAsync();
  else program.outputHelp();
} catch (error) {
  reportError(error);
}
await endProcess();
