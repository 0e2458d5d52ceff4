import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Compiles the scripts that processes and threads begin with, each with all of our modules that it imports, so that a
 * worker loads a few files and not nine hundred: that took a trainer 5 s of a core, and takes 1.6. Plain JavaScript, as
 * `bootstrap.mjs`, which runs it. A build is named by what it was made of, so an old one is never taken for a new one.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
/** Below the packages, since that is where the compiled code looks for them; npm ci takes it away with them. */
const builds = join(root, 'node_modules', '.cache', 'siglip2-runner');
const folders = ['activities', 'infra', 'src', 'workflows'];
/** A process may run from a build for months; one that nothing was started from for so long goes when another is made. */
const keptForMs = 60 * 24 * 3600 * 1000;

/** Scripts that are started by their own name; `test/infra/build.test.ts` finds one that is missing. */
export const scripts = [
  'infra/demo/main.ts',
  'infra/images/prepare.ts',
  'infra/services/up.ts',
  'infra/setup/main.ts',
  'infra/setup/setup.ts',
  'src/annotation/annotate-thread.ts',
  'src/cli.ts',
  'src/curation/select-in-thread.ts',
  'src/data/batches/batch-loader.ts',
  'src/data/batches/row-thread.ts',
  'src/data/batches/token-thread.ts',
  'src/scoring/score-loader.ts',
  'src/trainer/start.ts',
  'src/worker.ts',
];

/** Everything that a build of this clone follows from: the code and where it lies, the packages, and Node. */
export function nameOfBuild(clone = root) {
  const hash = createHash('sha256').update(JSON.stringify([clone, process.version]));
  const add = (file) => hash.update(`${file}\n`).update(readFileSync(join(clone, file)));
  add('package-lock.json');
  for (const folder of folders) {
    const names = readdirSync(join(clone, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((each) => /\.m?[jt]s$|\.json$/.test(each)).sort()) add(join(folder, name));
  }
  return hash.digest('hex').slice(0, 32);
}

/** Addresses are those of the sources: what a module finds beside itself is there. */
const ownAddresses = {
  name: 'own-addresses',
  setup(build) {
    build.onLoad({ filter: /\.m?ts$|\.mjs$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (path.includes('/node_modules/') || !text.includes('import.meta.url')) return undefined;
      const contents = text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href));
      return { contents, loader: path.endsWith('ts') ? 'ts' : 'js' };
    });
  },
};

async function make(folder) {
  const { build } = await import('esbuild');
  const part = `${folder}.${process.pid}.part`;
  try {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: scripts,
      outdir: part,
      outbase: root,
      outExtension: { '.js': '.mjs' },
      chunkNames: 'chunks/[name]-[hash]',
      bundle: true,
      splitting: true,
      metafile: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      keepNames: true,
      sourcemap: 'linked',
      sourcesContent: false,
      logLevel: 'silent',
      plugins: [ownAddresses],
    });
    const made = Object.entries(metafile.outputs).filter(([, { entryPoint }]) => scripts.includes(entryPoint));
    const address = (file) => pathToFileURL(join(root, file)).href;
    const found = made.map(([file, { entryPoint }]) => [address(entryPoint), relative(part, join(root, file))]);
    writeFileSync(join(part, 'build.json'), JSON.stringify({ scripts: Object.fromEntries(found) }));
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    // Another process made the same at the same time.
    if (!existsSync(join(folder, 'build.json'))) throw error;
  }
}

function sweep() {
  for (const name of readdirSync(builds)) {
    const path = join(builds, name);
    if (Date.now() - statSync(path).mtimeMs > keptForMs) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * The folder of the build for this code, made if it is not there (a second). Null where none can be made, as on a
 * file system that takes no writes: then everything runs from its source, only starts take longer.
 */
export async function buildFolder() {
  try {
    const folder = join(builds, nameOfBuild());
    if (!existsSync(join(folder, 'build.json'))) {
      mkdirSync(builds, { recursive: true });
      await make(folder);
      sweep();
    }
    try {
      utimesSync(folder, new Date(), new Date());
    } catch {
      // An image is not swept.
    }
    return folder;
  } catch {
    return null;
  }
}
