import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashJson } from './hash.ts';

const source = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/**
 * A hash of everything that a compiled step is made by, beside the step itself: this code, the packages that trace it,
 * libtensorflow, the CPU, and the variables that steer them. Where one of them is another, so is the hash.
 *
 * @param env as it was given to this process
 */
export function machineKey(env: NodeJS.ProcessEnv): string {
  const steering = Object.entries(env).filter(([name]) => /^(TF|XLA|ONEDNN|DNNL|MKL|OMP|KMP|CUDA)_/.test(name));
  return hashJson({
    code: codeHash(),
    packages: ['@tensorflow/tfjs', '@tensorflow/tfjs-core', '@tensorflow/tfjs-node-gpu'].map(versionOf),
    node: process.versions.node,
    library: libraryOf(),
    cpu: cpuOf(),
    env: Object.fromEntries(steering),
  });
}

function codeHash(): string {
  const hash = createHash('sha256');
  const names = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => /\.m?[jt]s$/.test(name));
  for (const name of names.sort()) hash.update(`${name}\n`).update(readFileSync(join(source, name)));
  return hash.digest('hex');
}

const versionOf = (name: string) => (require(`${name}/package.json`) as { version: string }).version;

/** Its file rather than its version: a library of one's own has any version that it likes. */
function libraryOf() {
  const folder = join(dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json')), 'deps', 'lib');
  const file = realpathSync(join(folder, 'libtensorflow.so'));
  const { size, mtimeMs } = statSync(file);
  return { file, size, mtimeMs };
}

/** Model and features: code is generated for exactly these. */
function cpuOf(): readonly string[] {
  const wanted = /^(vendor_id|cpu family|model|model name|stepping|flags|Features|CPU \w+)\s*:/;
  try {
    const [first = ''] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n');
    return first.split('\n').filter((line) => wanted.test(line));
  } catch {
    return [process.arch, cpus()[0]?.model ?? ''];
  }
}
