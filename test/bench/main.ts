import { writeFile } from 'node:fs/promises';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import { describeMachine, machineLine } from './machine.ts';
import { measureMatmulPeak } from './matmul.ts';
import { allNames, anyWanted } from './names.ts';
import type { BenchRecord, Report } from './record.ts';
import { benchServices } from './services.ts';
import { benchSteps } from './step.ts';
import { heading, row } from './table.ts';

/** `npm run bench`: see arguments.ts. */
const options = parseArguments(process.argv.slice(2));
const out = options.json === '-' ? process.stderr : process.stdout;
const records: BenchRecord[] = [];
const report: Report = (record) => {
  records.push(record);
  out.write(`${row(record)}\n`);
};

if (!anyWanted(options.only)) {
  process.stderr.write(`nothing begins with ${options.only}; there are ${allNames.join(', ')}\n`);
  process.exit(1);
}
// Without this a signal would leave services and folders behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

const machine = await describeMachine();
const needsPeak = anyWanted(options.only, 'step') || anyWanted(options.only, 'matmul');
let described = machineLine(machine);
try {
  out.write(`${heading()}\n`);
  if (needsPeak) {
    const peak = await measureMatmulPeak(10, report);
    described = machineLine(machine, peak.tensorflow);
    await benchSteps(options, peak, report);
  }
  await benchServices(options, report);
} catch (error) {
  if (!isRunnerError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
out.write(`\n${described}\n`);
if (machine.busy > 0.1) {
  const share = `${(100 * machine.busy).toFixed(0)} %`;
  out.write(`Other work took ${share} of the machine at the start, so times are too long. So are ratios too small:\n`);
  out.write(
    "PyTorch's threads wait for one another at the end of every loop, and suffer most. Measure on a quiet machine.\n",
  );
}
const json = `${JSON.stringify(
  records.map((record) => ({ ...record, machine: described })),
  null,
  2,
)}\n`;
if (options.json === '-') process.stdout.write(json);
else if (options.json !== undefined) await writeFile(options.json, json);
