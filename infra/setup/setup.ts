/** `npm run setup`: everything was provided before this runs; say what there is. */
import { formatDoctor, inspect } from './doctor.ts';

process.stdout.write(`${formatDoctor(await inspect())}\n`);
