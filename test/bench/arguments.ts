import { Command, InvalidArgumentError } from 'commander';

/** Where --gpu writes by default. */
export const defaultFile = 'gpu-report.json';

export interface BenchOptions {
  /** Runs only what begins with this: `step`, `step/s16`, `step/s16/bf16`. */
  readonly only: string;
  /** Timed runs of a variant; with a peer, timed steps of a turn. Undefined: each benchmark's own number. */
  readonly runs: number | undefined;
  readonly json: string | undefined;
  /** A Python that has the packages of requirements.txt. */
  readonly peer: string | undefined;
  /** A Python that has the packages of requirements-profile.txt: steps are profiled, and not timed. */
  readonly profile: string | undefined;
  readonly turns: number;
  /** Run what only a GPU can show: on one, or dry, on the CPU. */
  readonly gpu: 'off' | 'on' | 'dry';
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 10_000) {
    throw new InvalidArgumentError('It is a whole number from 1 to 10000.');
  }
  return value;
}

/** The command line of `npm run bench`. Ends the process for --help, and with one sentence for what is wrong. */
export function parseArguments(args: readonly string[], exit?: () => never): BenchOptions {
  const command = new Command('npm run bench --')
    .description(
      'Measures training steps, their compilation, selection of examples, memory of large batches, data loading, checkpoints, the time to go on after a kill, and what plans say of memory, on this machine.',
    )
    .option(
      '--only <prefix>',
      'only what begins with it: step, step/s16, step/s16/bf16, tune, trace, selection, retrieval, host, index, loader, checkpoint, durability, resume, rounds, plan',
      '',
    )
    .option('--runs <n>', 'timed runs of each variant (with --peer: steps of a turn)', count)
    .option(
      '--json <file>',
      'also write a list of {name, variant, ms_min, ms_median, ...}; - for stdout, the table then goes to stderr',
    )
    .option(
      '--peer <python>',
      'compare with PyTorch, in turns: steps in a Python with test/bench/requirements.txt installed, --only loader with test/bench/loader-peer/requirements.txt, --only tune with test/parity/requirements-tuning.txt',
    )
    .option(
      '--profile <python>',
      'show where the time of steps goes, by kind of op; a Python with test/bench/requirements-profile.txt installed',
    )
    .option('--gpu', `what only a GPU can show, unattended, into one JSON file (--json, by default ${defaultFile})`)
    .option('--gpu-dry', 'the same on the CPU and small, to see that it runs')
    .option('--turns <n>', 'turns of each side in a comparison with the peer', count, 10)
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Names and variants:
  step/vit-w256-d4, step/s16, step/emoji   eager, f32, bf16: forward, backward, clip and Adam
  tune/b16                                 lora, lit, finetune, lora-bf16, lit-bf16, lit-kept (features of pictures are kept): steps of 8
                                           from an imported model; 1.5 GB of disk; -bf16 with --peer beside PyTorch in bf16, then in f32
  matmul/square                            f32, bf16: the machine's matmul peak, which shares refer to
  trace/b16                                f32, bf16: a large step with the decoder, traced and loaded
  selection/768                            16k-of-32k, 32k-of-64k: of learner and teacher, 768 wide
  retrieval/50k, retrieval/xm3600          both-ways: 250,000 captions; 36 languages, with all intervals
  index/100m                               plan, examples, tokens: of 10,000 indexed shards; takes 4 GB of disk
  loader/emoji                             cold, warm: images per second
  loader/jpeg                              plain, views (with --peer), memory: JPEG of 512 pixels to batches of 256
  checkpoint/save, checkpoint/load         commit, restore, and the raw PUT or GET of the same bytes
  resume/emoji                             kill-9: from the kill of the worker to the next finished step
  rounds/history                           64x50: slots by rounds, whose trainers answer at once: events of Temporal
  rounds/work                              write, apply, merge, merge-3, copy, verify, load, save, commit: CPU of a round
  rounds/link                              20-mbit, 100-mbit, 1000-mbit a worker, in network namespaces: root and iproute2;
                                           emoji-20-mbit and so on of a smaller model, 50-ms-20-mbit, 200-ms-20-mbit and
                                           so on with 1 % of packets lost, 50-ms-bbr-100-mbit, 200-ms-bbr-100-mbit by BBR
  plan/loader                              1, 2, 4, 8: planned against what a loader of so many threads takes
  plan/memory                              shapes up to batch 32,768: planned against what a trainer takes
Parts of --gpu, for --only: gpu/placement, gpu/memory, gpu/bytes, gpu/steps, gpu/large.
Other work on the machine moves every figure, and ratios too: measure on a quiet one.`,
    );
  if (exit) command.exitOverride(exit).configureOutput({ writeErr: () => {}, writeOut: () => {} });
  const options = command
    .parse([...args], { from: 'user' })
    .opts<Partial<BenchOptions> & { gpu?: boolean; gpuDry?: boolean }>();
  const { only = '', runs, json, peer, profile, turns = 10, gpu, gpuDry } = options;
  return { only, runs, json, peer, profile, turns, gpu: gpuDry ? 'dry' : gpu ? 'on' : 'off' };
}
