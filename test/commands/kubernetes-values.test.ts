import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { kubernetesValues } from '../../src/commands/kubernetes-values.ts';

const phase = (name: string, gigabytes: Record<'gpu' | 'host' | 'process' | 'checkpoint' | 'batches', number>) => ({
  name,
  gpuBytes: gigabytes.gpu * 1e9,
  hostBytes: gigabytes.host * 1e9,
  processBytes: gigabytes.process * 1e9,
  bytesPerCheckpoint: gigabytes.checkpoint * 1e9,
  sharedBytes: 0,
  memory: { diskBytes: gigabytes.batches * 1e9 },
});
const phases = [
  phase('pretrain', { gpu: 20, host: 6, process: 26, checkpoint: 4.5, batches: 0 }),
  phase('distill', { gpu: 15, host: 9.4, process: 24, checkpoint: 6, batches: 3 }),
];

it('a worker is asked for that can train every phase, with room for what the estimate may be off', () => {
  const text = kubernetesValues(phases, 'gpu', null);
  // 9.4 GB and 0.6 of the worker are 9.3 GiB; a quarter more 11.6. 12 + 8 + 3 + 3 GB are 24.2 GiB.
  expect(parse(text)).toEqual({
    device: {
      kind: 'gpu',
      resources: { requests: { memory: '10Gi' }, limits: { memory: '12Gi' } },
      diskGiB: 25,
    },
  });
  expect(text).toContain('# Its GPU needs about 20.00 GB of memory.');
  expect(text).toContain('# A commit sends 6.00 GB:');
});

it('a CPU that trains holds the step itself, and what could not be looked at stays a remark', () => {
  const text = kubernetesValues(phases, 'cpu', 'Not looked at: the data,\nsince there is no store');
  expect(parse(text).device.resources).toEqual({ requests: { memory: '25Gi' }, limits: { memory: '31Gi' } });
  expect(text).toMatch(/^# Not looked at: the data, since there is no store\n/);
});
