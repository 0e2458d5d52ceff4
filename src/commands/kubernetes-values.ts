import { size } from '../runtime/size-text.ts';
import type { PhaseEstimate } from './estimate.ts';

/** Of the worker beside its trainer. */
const workerBytes = 0.6e9;
/** Estimates are that far off, and nothing ends a worker more surely than a limit of memory. */
const margin = 1.25;
/** What a worker keeps of data, of compiled steps, and of its own. */
const dataBytes = 8e9;
const ownBytes = 3e9;

type Of = Pick<
  PhaseEstimate,
  'name' | 'gpuBytes' | 'hostBytes' | 'processBytes' | 'bytesPerCheckpoint' | 'sharedBytes'
> & {
  readonly memory: Pick<PhaseEstimate['memory'], 'diskBytes'>;
};

/**
 * Values for the chart in `infra/kubernetes`, in YAML: memory and disk of a device worker that can train every phase.
 * @param unseen why the bucket was not looked at; null where it was
 */
export function kubernetesValues(phases: readonly Of[], kind: 'gpu' | 'cpu', unseen: string | null): string {
  const most = (of: (phase: Of) => number) => Math.max(0, ...phases.map(of));
  const memory = workerBytes + most(({ hostBytes, processBytes }) => (kind === 'gpu' ? hostBytes : processBytes));
  const checkpoint = most(({ bytesPerCheckpoint, sharedBytes }) => bytesPerCheckpoint + sharedBytes);
  const disk = 2 * checkpoint + dataBytes + ownBytes + most((phase) => phase.memory.diskBytes);
  const remarks = [
    ...(unseen === null ? [] : [unseen]),
    ...(kind === 'gpu' ? [`Its GPU needs about ${size(most(({ gpuBytes }) => gpuBytes))} of memory.`] : []),
    `A commit sends ${size(checkpoint)}: set terminationGracePeriodSeconds to what that takes over your link, and ten more.`,
  ];
  return [
    ...remarks.map((remark) => `# ${remark.replaceAll(/\s+/g, ' ')}`),
    'device:',
    `  kind: ${kind}`,
    '  resources:',
    `    requests: { memory: ${gibibytes(memory)}Gi }`,
    `    limits: { memory: ${gibibytes(margin * memory)}Gi }`,
    `  diskGiB: ${gibibytes(disk)}`,
    '',
  ].join('\n');
}

const gibibytes = (bytes: number) => Math.ceil(bytes / 2 ** 30);
