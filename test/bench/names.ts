/** `-xla`: the whole step under XLA. */
const stepVariants = ['eager', 'f32', 'bf16', 'f32-xla', 'bf16-xla'] as const;

/** Phases of which each has another part of a plan large: see plan-shapes.ts. */
export const planNames = [
  'emoji',
  'w256',
  's16-accumulated',
  's16-remat',
  '4k',
  '4k-whole',
  '32k',
  '32k-distilled',
  'distilled',
  'captioned',
  'naflex',
  'acid',
  'acid-32k',
] as const;

/** Every benchmark with its variants, in the order in which they run. */
export const benchmarks = {
  'matmul/square': ['f32', 'bf16'],
  'step/vit-w256-d4': stepVariants,
  'step/s16': stepVariants,
  'step/emoji': stepVariants,
  /** By the tasks of `recipe new`, in f32 but for `-bf16`; `-kept` with pictures that were met before, as from a second epoch on. */
  'tune/b16': ['lora', 'lit', 'finetune', 'lora-bf16', 'lit-bf16', 'lit-kept'],
  'contrast/32k': ['f32', 'bf16'],
  'contrast/64k': ['bf16'],
  'patch-head/b16': ['f32', 'bf16'],
  'trace/b16': ['f32', 'bf16'],
  'trace/so400m': ['bf16'],
  'trace/g-opt': ['bf16'],
  'start/first-step': ['cold', 'warm'],
  'selection/768': ['16k-of-32k', '32k-of-64k'],
  'retrieval/50k': ['both-ways'],
  'retrieval/xm3600': ['both-ways'],
  'host/32k': ['views', 'acid'],
  'index/100m': ['plan', 'examples', 'tokens'],
  'loader/emoji': ['cold', 'warm'],
  /** With --peer alone; the last with any --peer or none. */
  'loader/jpeg': ['plain', 'views', 'memory'],
  'checkpoint/snapshot': ['disk'],
  'checkpoint/save': ['commit', 'raw-put'],
  'checkpoint/load': ['restore', 'raw-get'],
  'durability/emoji': ['without', 'with'],
  'durability/s16': ['without', 'with'],
  'resume/emoji': ['taken-up', 'kill-9'],
  /** Slots by rounds. */
  'rounds/history': ['64x50'],
  /** Of changes a number, with one member merged and with three; of the state a byte. */
  'rounds/work': ['write', 'apply', 'merge', 'merge-3', 'copy', 'verify', 'load', 'save', 'commit'],
  /** Mbit/s of each worker, and milliseconds there and back with 1 % of packets lost; as root alone, and only where asked for. */
  'rounds/link': [
    ...(['20-mbit', '100-mbit', '1000-mbit', 'emoji-20-mbit', 'emoji-100-mbit', 'emoji-1000-mbit'] as const),
    ...(['50-ms-20-mbit', '50-ms-100-mbit', '50-ms-1000-mbit', '50-ms-bbr-100-mbit'] as const),
    ...(['200-ms-20-mbit', '200-ms-100-mbit', '200-ms-1000-mbit', '200-ms-bbr-100-mbit'] as const),
    ...(['emoji-50-ms-20-mbit', 'emoji-200-ms-20-mbit'] as const),
  ],
  /** Whether a round waits for all, and how long it is beside the time in which a worker is lost; only where asked for. */
  'rounds/goodput': ['undisturbed', 'all', 'quorum', 'quorum-half', 'quorum-quarter'],
  /** What the worker has that takes the slot over; as root alone, and only where asked for. */
  'rounds/kill': ['100-mbit-has-it', '100-mbit-newcomer'],
  'plan/memory': planNames,
  /** By the threads of a loader. */
  'plan/loader': ['1', '2', '4', '8'],
} as const satisfies Record<string, readonly string[]>;

export type BenchName = keyof typeof benchmarks;
export type StepName = Extract<BenchName, `step/${string}`>;
export type TraceName = Extract<BenchName, `trace/${string}`>;
export const allNames = Object.keys(benchmarks) as BenchName[];
export const stepNames = allNames.filter((name): name is StepName => name.startsWith('step/'));

export const traceNames = allNames.filter((name): name is TraceName => name.startsWith('trace/'));

/**
 * True when `--only` asks for this variant: it is the beginning of name/variant. Whole steps under XLA, which compile
 * for minutes, are asked for by their full name, and slow links, which take root, and kills, which take long, by some of theirs.
 */
export function isWanted(only: string, name: string, variant: string): boolean {
  const full = `${name}/${variant}`;
  if (['rounds/link', 'rounds/goodput', 'rounds/kill'].includes(name) && only === '') return false;
  return variant.endsWith('-xla') ? full === only : full.startsWith(only);
}

/** True when `--only` asks for any variant of a benchmark whose name begins so. */
export function anyWanted(only: string, beginning = ''): boolean {
  return allNames.some(
    (name) => name.startsWith(beginning) && benchmarks[name].some((variant) => isWanted(only, name, variant)),
  );
}
