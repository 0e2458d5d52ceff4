import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { endOnSignal } from '../support/end-on-signal.ts';
import { defaultFile, parseArguments } from './arguments.ts';
import { benchGpu } from './gpu.ts';
import { benchLargeLosses } from './large-loss.ts';
import { requireLoaderPeer } from './loader-turns.ts';
import { busyWarning, describeMachine, machineLine } from './machine.ts';
import { measureMatmulPeak } from './matmul.ts';
import { allNames, anyWanted } from './names.ts';
import { requirePeer } from './peer-turns.ts';
import { profileSteps } from './profile.ts';
import type { BenchRecord, Report } from './record.ts';
import { benchRetrieval } from './retrieval.ts';
import { benchRoundsGoodput } from './rounds-goodput.ts';
import { benchRoundsHistory } from './rounds-history.ts';
import { benchRoundsKill } from './rounds-kill.ts';
import { benchRoundsLink } from './rounds-link.ts';
import { benchRoundsWork } from './rounds-work.ts';
import { benchSelections } from './selection.ts';
import { benchServices } from './services.ts';
import { benchStarts } from './start.ts';
import { benchSteps } from './step.ts';
import { heading, row } from './table.ts';
import { benchTraces } from './trace.ts';
import { benchTunes, requireTunePeer } from './tune.ts';

/** `npm run bench`: see arguments.ts. */
const options = parseArguments(process.argv.slice(2));
const out = options.json === '-' ? process.stderr : process.stdout;
const records: BenchRecord[] = [];
const report: Report = (record) => {
  records.push(record);
  out.write(`${row(record)}\n`);
};

if (options.gpu === 'off' && !anyWanted(options.only)) {
  process.stderr.write(`nothing begins with ${options.only}; there are ${allNames.join(', ')}\n`);
  process.exit(1);
}
endOnSignal();

let described = '';

async function measure(): Promise<void> {
  if (options.peer !== undefined) {
    if (options.only.startsWith('loader')) await requireLoaderPeer(options.peer);
    else if (options.only.startsWith('tune')) await requireTunePeer(options.peer);
    else await requirePeer(options.peer, options.gpu === 'on' ? 'cuda' : 'cpu');
  }
  if (options.gpu !== 'off') return measureGpu();
  const machine = await describeMachine();
  described = machineLine(machine);
  out.write(`${busyWarning(machine)}${heading()}\n`);
  if (options.profile !== undefined) return profileSteps(options, (text) => void out.write(text));
  if (['step', 'matmul', 'contrast', 'patch-head'].some((beginning) => anyWanted(options.only, beginning))) {
    const peak = await measureMatmulPeak(10, report);
    described = machineLine(machine, peak.tensorflow);
    await benchSteps(options, peak, report);
    await benchLargeLosses(options, report, false, peak);
  }
  await benchTunes(options, report);
  await benchTraces(options, report);
  await benchStarts(options, report);
  await benchSelections(options, report);
  await benchRetrieval(options, report);
  await benchRoundsHistory(options, report);
  await benchRoundsWork(options, report);
  await benchRoundsLink(options, report);
  await benchRoundsGoodput(options, report);
  await benchRoundsKill(options, report);
  await benchServices(options, report);
}

/** One report instead of records, which it has in it. */
async function measureGpu(): Promise<void> {
  const found = await benchGpu(options, out);
  if (options.json === '-') process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  else out.write(`\n${resolve(options.json ?? defaultFile)} has it all\n`);
}

try {
  await measure();
} catch (error) {
  if (!isRunnerError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
if (records.length > 0) {
  out.write(`\n${described}\n`);
  const list = records.map((record) => ({ ...record, machine: described }));
  const json = `${JSON.stringify(list, null, 2)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else if (options.json !== undefined) await writeFile(options.json, json);
}
