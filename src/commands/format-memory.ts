import { number } from '../runtime/count-text.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { size } from '../runtime/size-text.ts';
import type { LossChunks } from '../train/chunks.ts';
import type { MemoryPlan } from '../train/memory-plan.ts';
import type { PhaseEstimate } from './estimate.ts';

/** What a part is, in a list. */
const names = {
  parameters: 'parameters',
  optimiser: 'moments of the optimiser',
  teacher: 'EMA teacher',
  average: 'moving average',
  bank: 'texts of other replicas',
  start: 'weights of the start',
  gradients: 'gradients',
  activations: 'activations',
  contrast: 'pairs of the whole batch',
  heads: 'logits of heads',
  scorer: 'teacher that scores',
  libraries: 'Node and TensorFlow',
  graph: 'compiled step',
  loader: 'loader and its pictures',
  batches: 'batches made ahead and kept',
  selection: 'selection',
  snapshot: 'copy for a snapshot',
  copies: 'bf16 in float32, since this CPU lacks it',
  unreturned: 'freed and not yet given back',
} as const;
type Part = keyof typeof names;

/** Parts below it are not worth a word. */
const least = 5e6;

/** Lines of the memory of a phase, every part by name; of the device that trains, or of a CPU where that is not known. */
export function memoryLines(
  { memory, chunks }: Pick<PhaseEstimate, 'memory' | 'chunks'>,
  device: DeviceMemory | null,
): string[] {
  const { host, snapshot, gpuBytes, hostBytes, processBytes, peak, diskBytes } = memory;
  const there = device ? `, of ${size(device.bytes)}` : '';
  const lines =
    device?.kind === 'gpu'
      ? [
          `    about ${size(gpuBytes)} of memory of the GPU at the peak of a step${there}: ${listed(onDevice(memory))}`,
          `    about ${size(hostBytes)} of memory of the machine: ${listed({ ...host, snapshot })}`,
        ]
      : [`    about ${size(processBytes)} of memory at the peak, ${when[peak]}${there}: ${listed(ofProcess(memory))}`];
  const cut = chunks.filter(({ chunks }) => chunks > 1).map(chunkText);
  if (cut.length > 0) lines.push(`    losses in chunks: ${cut.join(', ')}`);
  if (diskBytes > 0) lines.push(`    up to ${size(diskBytes)} of batches on the disk`);
  return lines;
}

const when = { step: 'in a step', snapshot: 'while a snapshot is taken' } as const;

/** What is there at once: with micro-batches the larger of a backward pass and of the loss of the whole batch. */
function atWork({ device: { activations, contrast, heads }, atWork }: MemoryPlan) {
  if (atWork >= activations + contrast + heads) return { activations, contrast, heads };
  return contrast >= activations + heads ? { contrast } : { activations, heads };
}

function onDevice(memory: MemoryPlan): Partial<Record<Part, number>> {
  const { parameters, optimiser, teacher, average, bank, start, gradients, scorer } = memory.device;
  return { parameters, optimiser, teacher, average, bank, start, gradients, ...atWork(memory), scorer };
}

function ofProcess(memory: MemoryPlan): Partial<Record<Part, number>> {
  const { host, device, snapshot, peak, unreturned, sums, copies } = memory;
  if (peak === 'step') return { ...onDevice(memory), copies, ...host, unreturned: unreturned.step };
  const { parameters, optimiser, teacher, average, bank, start, scorer } = device;
  return {
    parameters,
    optimiser,
    teacher,
    average,
    bank,
    start,
    gradients: sums,
    scorer,
    ...host,
    snapshot,
    unreturned: unreturned.snapshot,
  };
}

const listed = (parts: Partial<Record<Part, number>>) =>
  Object.entries(parts)
    .filter(([, bytes]) => bytes >= least)
    .map(([part, bytes]) => `${names[part as Part]} ${(bytes / 1e9).toFixed(2)}`)
    .join(', ');

const rowsOf = {
  sigmoid: 'images',
  bank: 'images',
  captioning: 'tokens',
  localToGlobal: 'images',
  maskedPrediction: 'images',
} as const;
const chunkText = ({ loss, rows, atATime }: LossChunks) =>
  `${loss} ${number(atATime)} of ${number(rows)} ${rowsOf[loss]}`;
