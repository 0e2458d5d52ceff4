import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { builtOf, sourceOf, startOf } from '../../src/runtime/built.mjs';
import { withLock } from '../../src/runtime/lock.mjs';

/**
 * What every command of package.json begins with. Plain JavaScript without dependencies, since it runs on a bare
 * clone: checks Node, installs the npm packages if they are not those of package-lock.json, compiles our code and hands
 * over to `main.ts`. Everything it says goes to stderr.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

/** Null for a Node that will do, else the sentence to say. */
export function nodeProblem(version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number);
  if (major < 25 && (major > 20 || (major === 20 && minor >= 20))) return null;
  return `siglip2-runner needs Node 20.20 to 24, and this is Node ${version.replace(/^v/, '')}; install another, for example with nvm install 22, and type the same command again`;
}

/**
 * True when node_modules is what package-lock.json says. npm writes its own list at the very end of an install, so
 * one that was cut off is seen too.
 */
export function packagesFit(folder) {
  try {
    const read = (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')).packages;
    const installed = read('node_modules/.package-lock.json');
    return Object.entries(read('package-lock.json')).every(([path, wanted]) => {
      const found = installed[path];
      if (found) return found.version === wanted.version && existsSync(join(folder, path));
      // Packages of other platforms are listed and not installed.
      return path === '' || wanted.optional === true;
    });
  } catch {
    return false;
  }
}

/** Null, or the sentence to say where `node_modules` is a link: npm ci would empty what it leads to. */
export function linkProblem(folder) {
  const path = join(folder, 'node_modules');
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return null;
  return `${path} is a link to packages that are not those of package-lock.json here, and npm ci would empty the folder that it leads to; remove the link, and type the same command again`;
}

function runNpmCi() {
  const problem = linkProblem(root);
  if (problem) fail(problem);
  // npm's own script, when npm runs us: the same npm, also where it is not on PATH.
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const child = spawn(command, [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const began = Date.now();
  process.stderr.write('Installing npm packages (about 0.5 GB)\n');
  const timer = setInterval(() => {
    process.stderr.write(`Installing npm packages  ${Math.round((Date.now() - began) / 1000)} s\n`);
  }, 10_000);
  return new Promise((done) => {
    child.once('error', () => fail('npm is needed and not installed; install Node with npm'));
    child.once('close', (code) => {
      clearInterval(timer);
      if (code !== 0) fail(`npm ci ended with ${code}, see above; type the same command again`);
      done();
    });
  });
}

async function installPackages() {
  if (packagesFit(root)) return;
  const cache =
    process.env.SIGLIP2_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'siglip2-runner');
  const name = createHash('sha256').update(root).digest('hex').slice(0, 12);
  await withLock(
    join(cache, 'locks', `npm-${name}.lock`),
    async () => {
      // Another may have installed them while this one waited.
      if (!packagesFit(root)) await runNpmCi();
    },
    () => process.stderr.write('Another process is installing the npm packages; waiting for it\n'),
  );
}

/** Help and the doctor must work on a machine where set-up fails. */
function isLight(script, args) {
  if (args.includes('--help') || args.includes('-h')) return true;
  if (!script.endsWith('cli.ts')) return false;
  return args.length === 0 || ['--version', '-V', 'help', 'doctor'].includes(args[0]);
}

/** Runs `main.ts` with these arguments as a child that this process stands for: its terminal, its signals, its end. */
export function handOver(args, env = process.env) {
  const main = join(root, 'infra/setup/main.ts');
  const { flags, file } = builtOf(pathToFileURL(args[1]).href) ? startOf(main) : sourceOf(main);
  const child = spawn(process.execPath, [...flags, file, ...args], {
    stdio: 'inherit',
    env,
  });
  // A terminal gives Ctrl-C to both; the child decides what it means. Other signals reach only this process.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('close', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const problem = nodeProblem(process.versions.node);
  if (problem) fail(problem);
  const [script = '', ...args] = process.argv.slice(2);
  if (!script) fail('say which script to run; the commands are in package.json, for example npm test');
  // An image has the packages that it needs, and takes no others.
  const light = process.env.SIGLIP2_IMAGE || (isLight(script, args) && existsSync(join(root, 'node_modules')));
  if (!light) await installPackages();
  const { buildFolder } = await import('./build.mjs');
  process.env.SIGLIP2_BUILD = (await buildFolder()) ?? '';
  handOver([light ? '--as-it-is' : '--prepared', resolve(script), ...args]);
}
