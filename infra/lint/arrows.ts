import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Arrows between folders point one way: what each room may import, beside itself. Types count as well. A room stands
 * below those that name it, so that two can never import one another; `npm run lint` holds the code to it.
 */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  'src/runtime': [],
  // Of an evaluation its sheet of pictures alone is drawn; the form of that knows nothing else.
  'src/metrics': ['src/runtime'],
  'src/formats': [],
  // WebAssembly from expressions, and its memory; what kernels do lies with those that run them.
  'src/simd': [],
  // Prices, and what was used at them: workflows sum what activities say.
  'src/costs': ['src/runtime'],
  'src/safetensors': ['src/runtime'],
  'src/compile': ['src/runtime'],
  'src/storage': ['src/runtime'],
  // Changes of parameters by name and shape; what a phase is they don't know.
  'src/rounds': ['src/runtime', 'src/safetensors', 'src/simd'],
  'src/curation': ['src/runtime', 'src/compile'],
  'src/model': ['src/runtime', 'src/safetensors', 'src/compile'],
  'src/recipe': ['src/runtime', 'src/model'],
  // A step of Adam and gradients, for the training of phases and of what evaluators learn.
  'src/optimiser': ['src/runtime', 'src/compile', 'src/model', 'src/recipe'],
  'src/objectives': ['src/runtime', 'src/compile', 'src/model', 'src/recipe'],
  'src/data/index': ['src/runtime', 'src/storage'],
  'src/data/example': ['src/runtime', 'src/storage', 'src/recipe', 'src/data/index'],
  'src/data/views': ['src/runtime', 'src/recipe', 'src/data/example', 'src/simd'],
  'src/data/near': ['src/data/example', 'src/data/views'],
  'src/packing': [
    ...['src/runtime', 'src/storage', 'src/recipe'],
    ...['src/data/index', 'src/data/example', 'src/data/views', 'src/data/near'],
  ],
  // Readers of tables are those of packing; a data set is the same whether it is packed or looked at.
  'src/benchmarks': ['src/runtime', 'src/storage', 'src/metrics', 'src/data/index', 'src/data/example', 'src/packing'],
  'src/data/stats': [
    ...['src/runtime', 'src/storage', 'src/data/index', 'src/data/example', 'src/data/views'],
    'src/data/near',
  ],
  'src/data/batches': [
    'src/runtime',
    'src/storage',
    'src/recipe',
    'src/data/index',
    'src/data/example',
    'src/data/views',
  ],
  'src/evaluate': [
    ...['src/runtime', 'src/metrics', 'src/storage', 'src/safetensors', 'src/model', 'src/recipe'],
    ...['src/compile', 'src/objectives', 'src/optimiser'],
    ...['src/data/index', 'src/data/example', 'src/data/views'],
  ],
  'src/report': ['src/runtime', 'src/evaluate'],
  'src/annotation': [
    ...['src/runtime', 'src/storage', 'src/recipe'],
    ...['src/data/index', 'src/data/example', 'src/data/views'],
  ],
  'src/checkpoint': [
    ...['src/formats', 'src/runtime', 'src/storage', 'src/safetensors', 'src/model', 'src/recipe'],
    ...['src/data/example', 'src/evaluate'],
  ],
  'src/onnx': ['src/runtime', 'src/safetensors', 'src/model', 'src/data/example', 'src/checkpoint'],
  'src/averaging': ['src/runtime', 'src/safetensors', 'src/model', 'src/checkpoint'],
  'src/telemetry': ['src/runtime', 'src/costs', 'src/storage', 'src/checkpoint'],
  'src/run-logs': ['src/runtime', 'src/storage', 'src/checkpoint'],
  // A report is drawn of plain values; here they are read from the bucket.
  'src/report/read': [
    ...['src/runtime', 'src/storage', 'src/recipe', 'src/evaluate', 'src/checkpoint', 'src/telemetry', 'src/report'],
    'src/costs',
  ],
  // The trainer never touches the bucket: the worker uploads what it wrote.
  'src/train': [
    ...['src/runtime', 'src/compile', 'src/safetensors', 'src/model', 'src/recipe', 'src/objectives', 'src/curation'],
    ...['src/optimiser', 'src/rounds'],
    ...['src/data/example', 'src/data/batches', 'src/checkpoint', 'src/report'],
  ],
  'src/filtering': [
    ...['src/runtime', 'src/storage', 'src/safetensors', 'src/model', 'src/recipe', 'src/checkpoint', 'src/packing'],
    ...['src/data/index', 'src/data/example', 'src/data/near'],
  ],
  // Rows of pictures and texts as they were made for an evaluation, found and handed on.
  'src/embeddings': [
    ...['src/runtime', 'src/storage', 'src/safetensors', 'src/model', 'src/recipe', 'src/checkpoint', 'src/evaluate'],
    ...['src/data/index', 'src/data/example', 'src/data/views', 'src/metrics'],
  ],
  'src/plan': [
    ...['src/runtime', 'src/storage', 'src/safetensors', 'src/model', 'src/recipe'],
    ...['src/data/index', 'src/data/example', 'src/evaluate', 'src/checkpoint', 'src/train'],
  ],
  'src/scoring': [
    ...['src/runtime', 'src/storage', 'src/safetensors', 'src/model', 'src/recipe', 'src/evaluate'],
    ...['src/data/index', 'src/data/example', 'src/data/views'],
  ],
  'src/trainer': [
    ...['src/runtime', 'src/compile', 'src/recipe', 'src/checkpoint', 'src/data/index', 'src/data/batches'],
    ...['src/train', 'src/scoring', 'src/evaluate'],
  ],
  // How a worker ends, and how it began.
  'src/worker-life': ['src/runtime', 'src/trainer'],
  'src/commands': ['src/', 'activities/types', 'workflows/messages.ts', 'workflows/results.ts'],
  activities: ['src/'],
  workflows: [
    ...['src/recipe', 'activities/types', 'src/checkpoint/types.ts', 'src/costs/used.ts', 'src/runtime/count-text.ts'],
  ],
  infra: ['src/', 'workflows/recipe.ts', 'workflows/results.ts'],
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const inRoom = (file: string, room: string) => file === room || file.startsWith(room.endsWith('/') ? room : `${room}/`);
const ends = ['src/worker.ts', 'src/cli.ts'];
/** These join src to infra: what the commands are, and what runs them. */
const tops = [...ends, 'src/program.ts'];

/** The room that a file is in: the longest name that it lies below; null for those that stand above all rooms. */
function roomOf(file: string): string | null {
  const rooms = Object.keys(mayImport).filter((room) => inRoom(file, room));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? null;
}

/** What is wrong with an import of `specifier` in `file` (from the root), or null. */
export function arrowProblem(file: string, specifier: string): string | null {
  const room = roomOf(file);
  if (!specifier.startsWith('.')) return null;
  const target = normalize(join(dirname(file), specifier));
  if (ends.includes(target)) return `${file} imports ${target}: nothing does, since that is where everything ends`;
  if (file.startsWith('src/') && target.startsWith('infra/') && !tops.includes(file) && room !== 'src/commands')
    return `${file} imports ${target}: src knows nothing of how it is run`;
  if (room === null || roomOf(target) === room) return null;
  if (mayImport[room]!.some((allowed) => inRoom(target, allowed))) return null;
  return `${file} imports ${target}; ${room} may import ${mayImport[room]!.join(', ') || 'no other room'} (infra/lint/arrows.ts)`;
}

/** The relative imports of a TypeScript file, those of types and those made while it runs too. */
export function importsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/(?:from |import |import\()'(\.[^']+)'/g)].map(([, specifier]) => specifier!);
}

/** Every file of the project with the relative imports that it has. */
export function allImports(): { readonly file: string; readonly specifiers: readonly string[] }[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', 'src', 'activities', 'workflows', 'infra'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  return listed
    .split('\n')
    .filter((file) => /\.m?ts$/.test(file))
    .map((file) => ({ file, specifiers: importsOf(readFileSync(join(root, file), 'utf8')) }));
}

/** Every wrong arrow of the project. */
export function wrongArrows(): string[] {
  return allImports().flatMap(({ file, specifiers }) =>
    specifiers.flatMap((specifier) => arrowProblem(file, specifier) ?? []),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wrong = wrongArrows();
  for (const sentence of wrong) process.stderr.write(`${sentence}\n`);
  process.exitCode = wrong.length > 0 ? 1 : 0;
}
