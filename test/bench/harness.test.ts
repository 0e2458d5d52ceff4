import { describe, expect, it } from 'vitest';
import { selectionFlops, stepFlops } from '../../src/model/flops.ts';
import { parseArguments } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { anyWanted, benchmarks, isWanted, stepNames } from './names.ts';
import { requirePeer } from './peer-turns.ts';
import { timesByKind } from './profile.ts';
import { stepSettings, traceSettings } from './shapes.ts';
import { compareTurns, spread } from './statistics.ts';
import { row } from './table.ts';
import { peerPrecisions, tunePartsOf } from './tune-settings.ts';

const refuse = () => {
  throw new Error('refused');
};

describe('the command line of the benchmarks', () => {
  it('has every benchmark and ten turns by default', () => {
    const wanted = {
      only: '',
      runs: undefined,
      json: undefined,
      peer: undefined,
      profile: undefined,
      turns: 10,
      gpu: 'off',
    };
    expect(parseArguments([])).toEqual(wanted);
  });

  it('takes names, counts, a file and a Python', () => {
    const args = ['--only', 'step/s16', '--runs', '4', '--json', 'out.json', '--peer', 'python3', '--turns', '12'];
    const wanted = {
      only: 'step/s16',
      runs: 4,
      json: 'out.json',
      peer: 'python3',
      profile: undefined,
      turns: 12,
      gpu: 'off',
    };
    expect(parseArguments(args)).toEqual(wanted);
    expect(parseArguments(['--gpu']).gpu).toBe('on');
    expect(parseArguments(['--gpu-dry']).gpu).toBe('dry');
  });

  it.each([[['--runs', '0']], [['--runs', '2.5']], [['--turns', 'x']], [['--what']], [['step']]])(
    'refuses %s',
    (args) => {
      expect(() => parseArguments(args, refuse)).toThrow();
    },
  );

  it('finds a benchmark by the beginning of its name and variant', () => {
    expect(isWanted('', 'step/s16', 'bf16')).toBe(true);
    expect(isWanted('step', 'step/s16', 'bf16')).toBe(true);
    expect(isWanted('step/s16/bf16', 'step/s16', 'bf16')).toBe(true);
    expect(isWanted('step/s16/bf16', 'step/s16', 'f32')).toBe(false);
    expect(isWanted('step/s16/bf16', 'step/s16', 'bf16-xla')).toBe(false);
    expect(isWanted('step/s16/bf16-xla', 'step/s16', 'bf16-xla')).toBe(true);
    expect(anyWanted('step/s16/bf16', 'step')).toBe(true);
    expect(anyWanted('step/s16/bf16', 'loader')).toBe(false);
    expect(anyWanted('loader/emoji/warm', 'loader')).toBe(true);
    expect(anyWanted('')).toBe(true);
    expect(anyWanted('stepp')).toBe(false);
  });
});

describe('what a step is said to compute', () => {
  it('is every matmul counted by hand, backward as two forwards', () => {
    const vision = { width: 4, depth: 1, mlp: 6, heads: 2, patch: 2, resolution: 4 };
    const text = { width: 3, depth: 2, mlp: 5, heads: 1, length: 7, vocabulary: 11 };
    const multiplications =
      8 * 12 * 4 + // patches: 2 images of 4 patches of 12 numbers to width 4
      8 * (4 * 4 * 4 + 2 * 4 * 4 + 2 * 4 * 6) + // a row: q, k, v, out; scores and sums over 4 patches; the MLP
      (8 * 2 * 4 * 4 + 4 * 4) + // keys and values of the MAP head; the probe
      2 * (2 * 4 * 4 + 4 * 4 + 2 * 4 * 6) + // its attention, out, and MLP
      2 * (14 * (4 * 3 * 3 + 2 * 7 * 3 + 2 * 3 * 5)) + // two text layers
      2 * 3 * 4 + // the text head
      2 * 2 * 4; // cosines
    expect(stepFlops({ vision, text }, 2)).toBe(3 * 2 * multiplications);
  });

  it('is every matmul of a selection: 2 of 10, then 1 of what is left', () => {
    // 2 chosen against 8 open, 1 against 7; the last chunk against none. Two sides, two models, width 5.
    expect(selectionFlops(10, [2, 1, 1], 5)).toBe(2 * (2 * 8 + 7) * 2 * 2 * 5);
  });

  it('is about six operations for each weight and row of a known model', () => {
    const { model, batches } = stepSettings('step/s16', 'f32');
    // 85 M weights would be B/16; S/16 has 12 layers of 12 width^2 in each tower.
    const weights = 12 * 12 * 384 ** 2;
    const rows = batches.batch * (256 + 64);
    const share = stepFlops(model, batches.batch) / (6 * weights * rows);
    expect(share).toBeGreaterThan(1);
    expect(share).toBeLessThan(1.25);
  });
});

describe('the shapes', () => {
  it('are those that the names promise', () => {
    const facts = stepNames.map((name) => {
      const { model, batches } = stepSettings(name, 'f32');
      const patches = (model.vision.resolution / model.vision.patch) ** 2;
      return [name, model.vision.width, patches, batches.batch, batches.textLength, model.text.vocabulary];
    });
    expect(facts).toEqual([
      ['step/vit-w256-d4', 256, 196, 32, 16, 8_000],
      ['step/s16', 384, 256, 8, 64, 32_000],
      ['step/emoji', 128, 16, 256, 16, 5_200],
    ]);
  });
});

describe('steps of fine-tuning', () => {
  it('in bf16 stand beside a peer in bf16 and one in f32, others beside f32 alone', () => {
    const beside = benchmarks['tune/b16'].map((variant) => peerPrecisions(tunePartsOf(variant).precision));
    expect(beside).toEqual([['f32'], ['f32'], ['f32'], ['bf16', 'f32'], ['bf16', 'f32'], ['f32']]);
  });
});

describe('the step that is traced', () => {
  it('is B/16 with the whole vocabulary, twelve layers a tower, and the decoder', () => {
    const { model, batches, objectives } = traceSettings('trace/b16', 'bf16');
    const tower = { width: 768, depth: 12 };
    expect(model).toMatchObject({ vision: { ...tower, patch: 16 }, text: { ...tower, vocabulary: 256_000 } });
    expect(objectives).toMatchObject({ sigmoid: { weight: 1 }, captioning: { depth: 6 } });
    expect(batches.batch).toBe(2);
  });
});

describe('comparing turns', () => {
  it('takes the median of all, and the range of pairs', () => {
    expect(spread([5, 1, 4, 2])).toEqual({ min: 1, median: 3, max: 5 });
    const { ofMedians, pairs } = compareTurns([[1, 2, 3], [8]], [[4], [4, 6, 4]]);
    expect(ofMedians).toBe(2.5 / 4);
    expect(pairs).toEqual({ min: 0.5, median: 1.25, max: 2 });
  });

  it('refuses turns that have no partner', () => {
    expect(() => compareTurns([[1]], [])).toThrow('1 turns beside 0');
  });

  it('says a ratio in words under its line', () => {
    const record = { name: 'step/s16', variant: 'bf16', ms_min: 900, ms_median: 1000, runs: 30 };
    expect(row(record)).not.toContain('\n');
    const compared = { ...record, against: 'peer', ratio: 0.7, ratio_low: 0.65, ratio_high: 0.8 };
    expect(row(compared)).toContain('\n  0.70 of the time of peer, pair by pair 0.65 to 0.80');
  });
});

describe('a process that waits between turns', () => {
  const child = `process.stdout.write('a banner\\n{"ready":true}\\n');
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      if (line === 'die') { console.error('no such thing'); process.exit(3); }
      console.log(JSON.stringify({ got: line }));
    });`;

  it('answers each line, whatever else is printed', async () => {
    const process_ = await LineProcess.start<object, object>('a child', process.execPath, ['-e', child]);
    expect(await process_.ask('7')).toEqual({ got: '7' });
    expect(await process_.ask('8')).toEqual({ got: '8' });
    await process_.close();
  });

  it('says in a sentence how it ended, with its last words', async () => {
    const process_ = await LineProcess.start('a child', process.execPath, ['-e', child]);
    await expect(process_.ask('die')).rejects.toThrow('the process of a child ended (3): no such thing');
  });

  it('says which program could not be started', async () => {
    await expect(LineProcess.start('the peer', '/does/not/exist', [])).rejects.toThrow(
      /the process of the peer ended \(no start\): .*ENOENT/,
    );
  });

  it('is not begun with a Python that lacks what it needs', async () => {
    await expect(requirePeer('/does/not/exist')).rejects.toThrow(
      "--peer /does/not/exist can't run the peer (spawn /does/not/exist ENOENT); type /does/not/exist -m pip install -r test/bench/requirements.txt",
    );
  });
});

describe('a profile of a step', () => {
  it('gives each instant to the kinds that run in it, in parts where there are several, and what is left to nobody', () => {
    const times = timesByKind(
      [
        ['a', '_MklMatMul', 1000, 5000],
        ['fused_7', 'PartitionedCall', 3000, 5000],
        ['b', '_MklBatchMatMulV2', 6000, 7000],
      ],
      { fused_7: 'gelu' },
    );
    const wanted = { 'matmuls of layers': 3, gelu: 1, 'between ops': 1, 'matmuls of attention': 1 };
    expect(Object.fromEntries(times)).toEqual(wanted);
  });
});
