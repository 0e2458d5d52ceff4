import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseDevices, type FoundGpus, findGpus, parseDevices } from '../../src/runtime/devices.ts';
import { workerProgram } from '../../src/worker-program.ts';

const uuids = new Map([
  ['0', 'GPU-aaaa-0'],
  ['1', 'GPU-bbbb-1'],
  ['2', 'GPU-cccc-2'],
]);
const three: FoundGpus = { names: ['0', '1', '2'], by: 'nvidia-smi', uuids };
const four = { TF_NUM_INTRAOP_THREADS: '4', SIGLIP2_LOADER_THREADS: '3' };
const choose = (text: string, found: FoundGpus | null = three, kind: 'cpu' | 'cuda' = 'cuda') =>
  chooseDevices(parseDevices(text), kind, found, four);

describe('--devices', () => {
  it('names all GPUs, some of them, or trainers on the CPU', () => {
    expect(parseDevices('all')).toBe('all');
    expect(parseDevices('0, 2')).toEqual({ gpus: ['0', '2'] });
    expect(parseDevices('GPU-aaaa-0')).toEqual({ gpus: ['GPU-aaaa-0'] });
    expect(parseDevices('cpu')).toEqual({ trainers: 1 });
    expect(parseDevices('cpu,cpu')).toEqual({ trainers: 2 });
    expect(parseDevices('cpu:2,cpu')).toEqual({ trainers: 3 });
  });

  it('gives each GPU a lock and an environment of its own, as a worker that has it alone', () => {
    expect(choose('all').map(({ lock }) => lock)).toEqual(['gpu-0', 'gpu-1', 'gpu-2']);
    const inOrder = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', SIGLIP2_LOADER_THREADS: '1' };
    expect(choose('0,2')).toEqual([
      { name: 'gpu-0', lock: 'gpu-0', kind: 'cuda', cpu: null, env: { CUDA_VISIBLE_DEVICES: '0', ...inOrder } },
      { name: 'gpu-2', lock: 'gpu-2', kind: 'cuda', cpu: null, env: { CUDA_VISIBLE_DEVICES: '2', ...inOrder } },
    ]);
    // By whichever name: its lock is called after that by which it was found.
    expect(choose('GPU-cccc').map(({ name }) => name)).toEqual(['gpu-2']);
    // Parts of a GPU are in no list.
    expect(choose('MIG-dddd').map(({ name }) => name)).toEqual(['gpu-MIG-dddd']);
    // Where nothing is known of what is there, TensorFlow says whether it is.
    expect(choose('5', null).map(({ name }) => name)).toEqual(['gpu-5']);
  });

  it('shares the threads of the CPU among its trainers, of which the first has the lock of one alone', () => {
    const env = { SIGLIP2_DEVICE: 'cpu', TF_NUM_INTRAOP_THREADS: '2', SIGLIP2_LOADER_THREADS: '1' };
    const devices = choose('cpu:2', null, 'cpu');
    expect(devices).toMatchObject([
      { name: 'cpu-0', lock: 'device', kind: 'cpu', cpu: { threads: 2 }, env },
      { name: 'cpu-1', lock: 'device-1', kind: 'cpu', cpu: { threads: 2 }, env },
    ]);
  });
});

describe('one sentence says what is wrong', () => {
  it.each([
    [
      'gpu',
      '--devices names "gpu"; allowed are all, GPUs by number or UUID such as 0,2, or trainers on the CPU such as cpu:2',
    ],
    ['0,', '--devices names ""; allowed are all'],
    ['-1', '--devices names "-1"; allowed are all'],
    ['all,0', '--devices names "all"; allowed are all'],
    ['cpu:0', '--devices names "cpu:0"; allowed are all'],
    ['0,cpu', '--devices 0,cpu has GPUs and the CPU; start a worker for each of the two'],
    ['0,0', '--devices 0,0 names one GPU twice, 0 and 0; name each once'],
    ['1,GPU-bbbb-1', '--devices 1,GPU-bbbb-1 names one GPU twice, 1 and 1; name each once'],
    ['0,7', '--devices names GPU 7, and nvidia-smi names 0, 1, 2; type --devices all, or some of those that are named'],
    ['cpu:5', '--devices asks for 5 trainers on the CPU, which has 4 threads; at most --devices cpu:4'],
  ])('of %s', (text, sentence) => {
    expect(() => choose(text)).toThrow(sentence);
  });

  it('of GPUs that are not there, with what to type', () => {
    expect(() => choose('all', null)).toThrow(
      /^--devices all finds no GPU: nvidia-smi does not answer; type npm run siglip2 -- doctor, or name GPUs, as in --devices 0,1$/,
    );
    const hidden = { ...three, names: [], by: 'CUDA_VISIBLE_DEVICES' };
    expect(() => choose('all', hidden)).toThrow('--devices all finds no GPU: CUDA_VISIBLE_DEVICES names none; ');
    expect(() => choose('1', hidden)).toThrow('--devices names GPU 1, and CUDA_VISIBLE_DEVICES names none; ');
    for (const text of ['all', '0'])
      expect(() => choose(text, three, 'cpu')).toThrow(
        /this machine trains on its CPU, since SIGLIP2_DEVICE says so or no NVIDIA driver is loaded; type --devices cpu:2 for two/,
      );
  });

  it('of a worker that takes no work of devices', async () => {
    const program = workerProgram(async () => {}).exitOverride();
    await expect(program.parseAsync(['--queues', 'siglip2', '--devices', 'all'], { from: 'user' })).rejects.toThrow(
      '--devices are for siglip2-gpu, and --queues siglip2 has it not; add it, or leave --devices out',
    );
  });
});

describe('GPUs are found', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'smi-'));
    const lines = [...uuids].map(([index, uuid]) => `${index}, ${uuid}`).join('\\n');
    writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\nprintf '${lines}\\n'\n`, { mode: 0o755 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('by nvidia-smi, and of those by CUDA_VISIBLE_DEVICES up to the first that is none', async () => {
    const PATH = `${folder}:${process.env.PATH}`;
    expect(await findGpus({ PATH })).toEqual(three);
    const visible = async (text: string) => (await findGpus({ PATH, CUDA_VISIBLE_DEVICES: text }))?.names;
    expect(await visible('2, 0')).toEqual(['2', '0']);
    expect(await visible('1,7,2')).toEqual(['1']);
    expect(await visible('0,-1,2')).toEqual(['0']);
    expect(await visible('')).toEqual([]);
    expect(await visible('MIG-12ab')).toEqual(['MIG-12ab']);
    expect(await findGpus({ PATH: '/nowhere' })).toBeNull();
    expect(await findGpus({ PATH: '/nowhere', CUDA_VISIBLE_DEVICES: '4' })).toMatchObject({ names: ['4'] });
  });
});
