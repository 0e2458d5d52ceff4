import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { cpuHasBfloat16 } from '../../src/runtime/bfloat16.ts';
import { hasNvidiaDriver } from '../../src/runtime/device.ts';
import { storeEnvironment, temporalEnvironment } from '../../src/runtime/environment.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { images, ownImage } from '../../src/runtime/image.ts';
import { paths } from '../../src/runtime/paths.ts';
import { runningState } from '../../src/runtime/services-state.ts';
import { variable } from '../../src/runtime/variables.ts';
import { codeVersion } from '../../src/runtime/version.ts';
import { addonFolder, addonPath, addonVersion, tfjsFolder } from './addon.ts';
import { nodeProblem } from './bootstrap.mjs';
import { deviceKind } from './device.ts';
import { findProgram, type ProgramName } from './go-program.ts';
import { findLibTensorflow } from './libtensorflow.ts';
import { pins } from './pins.ts';
import { runTool } from './run-tool.ts';

/** One thing that was looked at. `fix` is the one thing to type when it is not in order. */
export interface Finding {
  readonly part: string;
  readonly good: boolean;
  readonly what: string;
  readonly fix?: string;
}

const setUp = 'npm run setup';

/** Looks at everything that a run needs on this machine, or that belongs in this image, and changes nothing. */
export async function inspect(env: NodeJS.ProcessEnv = process.env): Promise<Finding[]> {
  const looks: Readonly<Record<string, () => Finding | Promise<Finding>>> = {
    Node: inspectNode,
    Image: () => inspectImage(env),
    TensorFlow: () => inspectTensorflow(env),
    'Temporal CLI': () => inspectProgram('temporal', 'Temporal CLI', env),
    'S3 server': () => inspectProgram('versitygw', 'S3 server', env),
    Device: () => inspectDevice(env),
    Services: () => inspectServices(env),
    Ports: () => inspectPorts(env),
    Folders: () => ({ part: 'Folders', good: true, what: `cache ${paths(env).cache}, state ${paths(env).state}` }),
  };
  // An image starts no services: it uses those elsewhere.
  const besides = variable('SIGLIP2_IMAGE', env) ? ['Temporal CLI', 'S3 server', 'Ports'] : ['Image'];
  const asked = Object.entries(looks).filter(([part]) => !besides.includes(part));
  return Promise.all(
    asked.map(async ([part, look]) => {
      try {
        return await look();
      } catch (error) {
        if (!isRunnerError(error)) throw error;
        return { part, good: false, what: error.message };
      }
    }),
  );
}

function inspectImage(env: NodeJS.ProcessEnv): Finding {
  return { part: 'Image', good: true, what: `${ownImage(env)} of version ${codeVersion()}` };
}

function inspectNode(): Finding {
  const problem = nodeProblem(process.versions.node);
  return { part: 'Node', good: problem === null, what: problem ?? process.versions.node };
}

async function inspectTensorflow(env: NodeJS.ProcessEnv): Promise<Finding> {
  const part = 'TensorFlow';
  const image = ownImage(env);
  if (image !== null && !images[image].tensorflow)
    return { part, good: true, what: `none, as is meant in the image ${image}: it trains nothing` };
  const { cache } = paths(env);
  const kind = deviceKind(env);
  const library = await findLibTensorflow(cache, kind, env);
  if (!library) return { part, good: false, what: `libtensorflow ${pins.tensorflow.version} is not there`, fix: setUp };
  const folder = addonFolder(cache, kind, library);
  if (!existsSync(join(folder, addonPath)))
    return { part, good: false, what: `${library.folder} is there, the addon for Node is not`, fix: setUp };
  const version = await addonVersion(folder);
  if (!existsSync(join(tfjsFolder(), addonPath)))
    return { part, good: false, what: `${version} is built and not linked into node_modules`, fix: setUp };
  return { part, good: true, what: `${version} (${kind}) from ${library.source}: ${library.folder}` };
}

async function inspectProgram(name: ProgramName, part: string, env: NodeJS.ProcessEnv): Promise<Finding> {
  const program = await findProgram(paths(env).cache, name, env);
  return program
    ? { part, good: true, what: `${program.version} from ${program.source}: ${program.path}` }
    : { part, good: false, what: `${name} ${pins[name].version} is not there`, fix: setUp };
}

async function inspectDevice(env: NodeJS.ProcessEnv): Promise<Finding> {
  const part = 'Device';
  const cpu = `CPU ${bfloat16Words(cpuHasBfloat16())}`;
  if (!hasNvidiaDriver())
    return { part, good: variable('SIGLIP2_DEVICE', env) !== 'gpu', what: `${cpu} (no NVIDIA driver)` };
  if (variable('SIGLIP2_DEVICE', env) === 'cpu')
    return { part, good: true, what: `${cpu} (SIGLIP2_DEVICE=cpu), a GPU is there` };
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  const cards = await runTool('nvidia-smi', query).catch(() => 'a driver, but nvidia-smi does not answer');
  return { part, good: true, what: cards.trim().split('\n').join('; ') };
}

/** What a CPU is for a recipe with "precision": "bf16". */
export function bfloat16Words(has: boolean | null): string {
  if (has === null) return 'of which it is not known whether it computes in bfloat16';
  return has ? 'that computes in bfloat16' : 'without bfloat16: "precision": "auto" in a recipe takes what is faster';
}

/** Services that are not running are no fault of the machine. */
function inspectServices(env: NodeJS.ProcessEnv): Finding {
  const temporal = temporalEnvironment(env);
  let store: string;
  try {
    const { endpoint, bucket, source } = storeEnvironment(env);
    store = `S3 ${endpoint ?? 'AWS'}, bucket ${bucket} (${source})`;
  } catch (error) {
    if (!isRunnerError(error, 'SetupMissing')) throw error;
    store = variable('SIGLIP2_IMAGE', env)
      ? 'no store; set SIGLIP2_BUCKET, and AWS_ENDPOINT_URL where it is not AWS'
      : 'no S3 server; npm run up starts one';
  }
  return { part: 'Services', good: true, what: `Temporal ${temporal.address} (${temporal.source}); ${store}` };
}

async function inspectPorts(env: NodeJS.ProcessEnv): Promise<Finding> {
  const part = 'Ports';
  const state = runningState(paths(env).state);
  if (state) return { part, good: true, what: `npm run up runs as process ${state.owner.pid}` };
  const taken: number[] = [];
  for (const port of [7233, 8233, 7480]) if (!(await isFree(port))) taken.push(port);
  const what = taken.length === 0 ? '7233, 8233 and 7480 are free' : `${taken.join(', ')} taken, up will choose others`;
  return { part, good: true, what };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** The findings as lines for a person. */
export function formatDoctor(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ part }) => part.length));
  return findings
    .map(({ part, good, what, fix }) => {
      const line = `${good ? 'ok ' : 'NO '} ${part.padEnd(width)}  ${what}`;
      return fix ? `${line}; type ${fix}` : line;
    })
    .join('\n');
}

/** `siglip2 doctor`: the lines to print, and whether everything is in order. */
export async function doctor(env: NodeJS.ProcessEnv = process.env): Promise<{ text: string; good: boolean }> {
  const findings = await inspect(env);
  return { text: `${formatDoctor(findings)}\n`, good: findings.every(({ good }) => good) };
}
