import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { modelConfig } from '../../src/recipe/settings.ts';
import type { Exchange } from '../../src/rounds/exchange.ts';
import { whatHelps } from '../../src/rounds/helps.ts';
import { connectionBits, type Link, linkBits, transferSeconds } from '../../src/rounds/link.ts';
import { smallAsks, workPerByte, workPerNumber } from '../../src/rounds/measured.ts';
import { lengthOf, numbersIn, roundParameters } from '../../src/rounds/parameters.ts';
import { type RoundPlan, roundEvents, roundRequests, roundTime } from '../../src/rounds/time.ts';
import { expectedTokens } from '../../src/rounds/zipf.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { size } from '../../src/runtime/size-text.ts';

const recipe = parseRecipe({
  version: 1,
  model: { vision: { size: 'B', patch: 16, resolution: 256 }, text: { size: 'B', length: 64, vocabulary: 'full' } },
  data: { train: 'data/train' },
  schedule: { total: { steps: 10 } },
  phases: [{ name: 'pretrain', batch: 390 }],
});
const config = modelConfig(recipe, null);
const parameters = roundParameters(parameterSpecs(config, recipe.model!.init));
const link = (megabits: number, of: Partial<Link> = {}): Link => ({ bits: megabits * 1e6, latency: 0, loss: 0, ...of });
const noPasses = { copy: 0, verify: 0, load: 0, save: 0, commit: 0 };
const one = { connections: 1, part: 2 ** 50 };
/** Rounds of ten minutes of a card that makes 390 examples a second, with a merger that takes no time. */
const plan = (of: Partial<RoundPlan> = {}): RoundPlan => ({
  parameters,
  everyRow: new Set(),
  exchange: 'int8',
  workers: 1,
  steps: 600,
  examples: 390,
  stepSeconds: 1,
  tokens: 12,
  dataBytes: 0,
  link: link(100),
  mergerLink: link(1e15),
  up: one,
  down: one,
  commits: one,
  asks: { worker: 0, merger: 0, seconds: 0 },
  work: { write: 0, apply: 0, member: 0, merge: 0 },
  passes: noPasses,
  ...of,
});

describe('rows that a round touches', () => {
  // Of `field.md` B.4: computed by its author for 256,000 tokens, 12 a text, exponents 1 and 1.2.
  test.each([
    [4_096, 17_500, 7_600],
    [16_384, 48_700, 20_400],
    [65_536, 118_000, 52_000],
    [234_000, 208_000, 112_000],
  ])('are of %i texts about %i, and %i where few tokens are most of the text', (texts, most, least) => {
    expect(expectedTokens(256_000, 12 * texts, 1) / most).toBeCloseTo(1, 1);
    expect(expectedTokens(256_000, 12 * texts, 1.2) / least).toBeCloseTo(1, 1);
  });

  test('are those that drawing gives', () => {
    const cumulated: number[] = [];
    for (let k = 1; k <= 500; k++) cumulated.push((cumulated.at(-1) ?? 0) + 1 / k);
    let different = 0;
    let state = 1;
    for (let times = 0; times < 200; times++) {
      const seen = new Set<number>();
      for (let i = 0; i < 300; i++) {
        // The generator of Park and Miller.
        state = (state * 48_271) % 2_147_483_647;
        const at = (state / 2_147_483_647) * cumulated.at(-1)!;
        seen.add(cumulated.findIndex((sum) => sum >= at));
      }
      different += seen.size / 200;
    }
    expect(different / expectedTokens(500, 300)).toBeCloseTo(1, 1);
  });
});

describe('a round of ViT-B/16 at 256 pixels', () => {
  test('exchanges the 375 million parameters that the field counts', () => {
    expect(parameters.reduce((sum, parameter) => sum + lengthOf(parameter), 0) / 1e6).toBeCloseTo(375.23, 2);
  });

  // The table of `field.md` B.4: MB of one replica's change, and seconds of it at 20, 100 and 1,000 Mbit/s.
  const dense = parameters.map((parameter) => ({ ...parameter, byRow: false }));
  test.each<[string, Partial<RoundPlan>, number, readonly number[]]>([
    ['f32, all', { exchange: 'f32', parameters: dense }, 1501, [600, 120, 12]],
    ['bf16, all', { exchange: 'bf16', parameters: dense }, 750, [300, 60, 6]],
    ['int8, all', { parameters: dense }, 375, [150, 30, 3]],
    ['int8, rows of 234k texts', {}, 338, [135, 27, 2.7]],
    ['int8, rows of 16k texts', { steps: 42 }, 216, [86, 17, 1.7]],
    ['int8, no table', { parameters: parameters.filter(({ byRow }) => !byRow) }, 179, [71, 14, 1.4]],
    ['int4, rows of 234k texts', { exchange: 'int4' }, 169, [68, 14, 1.4]],
  ])('%s: is %o sent in %i MB', (_, of, megabytes, seconds) => {
    const { upBytes } = roundTime(plan(of));
    expect(upBytes / 1e6 / megabytes).toBeGreaterThan(0.99);
    expect(upBytes / 1e6 / megabytes).toBeLessThan(1.015);
    for (const [i, megabits] of [20, 100, 1000].entries())
      expect(roundTime(plan({ ...of, link: link(megabits) })).up / seconds[i]!).toBeCloseTo(1, 1);
  });

  test.each([
    [20, 0.68],
    [100, 0.91],
  ])('keeps devices busy at %i Mbit/s for a share of %d, in ten minutes and int8 both ways', (megabits, share) => {
    const many = plan({ workers: 64, link: link(megabits) });
    expect(roundTime(many).downBytes / 1e6).toBeCloseTo(376, -1);
    expect(roundTime(many).utilisation).toBeCloseTo(share, 2);
  });

  test('is fetched by a newcomer in 10 minutes at 20 Mbit/s and 2 at 100: 1.5 GB', () => {
    expect(roundTime(plan({ link: link(20) })).join).toBeCloseTo(600, -1);
    expect(roundTime(plan()).join).toBeCloseTo(120, -1);
  });

  test('takes 94 Mbit/s of pictures of 30 kB, and is starved of them by a slower link', () => {
    const { dataRate, starved, train } = roundTime(plan({ dataBytes: 30_000, link: link(47) }));
    expect((8 * dataRate!) / 1e6).toBeCloseTo(93.6, 1);
    expect(starved / train).toBeCloseTo(93.6 / 47 - 1, 3);
    expect(roundTime(plan({ dataBytes: 30_000 })).starved).toBe(0);
  });

  test('has parts that make up the wall, the merger among them: 64 changes in int8 are 20 GB, 160 s at 1 Gbit/s', () => {
    const time = roundTime(
      plan({ workers: 64, mergerLink: link(1000), work: { write: 1e-8, apply: 1e-8, member: 1e-9, merge: 0 } }),
    );
    expect(time.mergerDown).toBeGreaterThan(160);
    expect(time.mergerDown).toBeLessThan(175);
    // And applies it to the state before.
    expect(time.merge).toBeCloseTo((64 + 10) * 0.37523, 2);
    const { wall, utilisation, down, apply, state, train, starved, write, up, mergerDown, merge, mergerUp, asks } =
      time;
    const parts = [down, apply, state, train, starved, write, up, mergerDown, merge, mergerUp, asks];
    expect(parts.reduce((a, b) => a + b, 0)).toBeCloseTo(wall, 9);
    expect(utilisation).toBeCloseTo(600 / wall, 9);
  });
});

describe('a state', () => {
  const state = 12 * numbersIn(parameters);
  const passes = { copy: 1e-9, verify: 2e-9, load: 4e-9, save: 8e-9, commit: 1e-7 };

  test('is made, loaded and saved by each worker, and verified, made and committed by the merger, by its bytes', () => {
    const of = { state, outer: state / 3, passes, work: { write: 0, apply: 1e-8, member: 0, merge: 0 } };
    const time = roundTime(plan(of));
    // 1.5 GB are parameters, and as much are buffers; 3 GB are copied.
    const made = 0.37523e9 * 1e-8 + 3.00184e9 * 1e-9;
    expect(time.apply).toBeCloseTo(made, 3);
    expect(time.state).toBeCloseTo(4.50276 * 12, 2);
    expect(time.merge).toBeCloseTo(made + 6.00368 * 2, 2);
    // At 100 ns a byte hashes are slower than the merger's link, at 1 ns they are not.
    expect(time.mergerUp).toBeCloseTo((6.00368e9 + time.downBytes) * 1e-7, 0);
    const slow = plan({ ...of, passes: { ...passes, commit: 1e-9 }, mergerLink: link(100) });
    expect(roundTime(slow).mergerUp).toBeCloseTo((8 * (6.00368e9 + time.downBytes)) / 1e8, 0);
  });

  test('is written by shares where each worker merges its share: of 1,000 none has more than two changes to carry', () => {
    const commits = { ...passes, commit: 0 };
    const of = { state, outer: state / 3, passes: commits, work: { write: 0, apply: 0, member: 1e-9, merge: 0 } };
    const many = { ...of, workers: 1000, link: link(100) };
    const [shared, one] = [
      roundTime(plan({ ...many, shared: true })),
      roundTime(plan({ ...many, mergerLink: link(1000) })),
    ];
    // A thousandth of 1,000 changes is one, and of 6 GB 6 MB; over 100 Mbit/s, in the place of 340 GB over a gigabit.
    expect(shared.mergerDown).toBeCloseTo((8 * (shared.upBytes + 1.50092e6)) / 1e8, 2);
    expect(shared.mergerUp).toBeCloseTo((8 * (6.00368e6 + shared.downBytes / 1000)) / 1e8, 2);
    expect(one.mergerDown / shared.mergerDown).toBeGreaterThan(99);
    expect(shared.merge).toBeCloseTo(one.merge / 1000, 6);
  });
});

describe('the README', () => {
  const rows = readFileSync(new URL('../../src/rounds/README.md', import.meta.url), 'utf8').split('\n');
  const moments = parameters.flatMap((one) => ['m/', 'v/'].map((of) => ({ ...one, name: of + one.name })));
  const outer = 4 * numbersIn(parameters);
  const whole = { workers: 8, mergerLink: link(1000), outer };
  const measured = { work: workPerNumber, passes: workPerByte, asks: smallAsks };

  test('has what the model says of rounds of ten minutes', () => {
    const told = rows.filter((row) => /^\| `\w+` \| `(reset|averaged)` \| /.test(row));
    const said = (['f32', 'bf16', 'int8', 'int4', 'int8'] as const).map((exchange, i) => {
      const others = i === 4 ? moments : [];
      const times = [20, 100, 1000].map((megabits) =>
        roundTime(
          plan({ ...whole, ...measured, state: (i === 4 ? 3 : 1) * outer, exchange, others, link: link(megabits) }),
        ),
      );
      const bytes = `${size(times[0]!.upBytes)}, ${size(times[0]!.downBytes)}`;
      const busy = times.map(({ utilisation }) => `${(100 * utilisation).toFixed(1)} %`);
      return `| \`${exchange}\` | \`${i === 4 ? 'averaged' : 'reset'}\` | ${[bytes, ...busy].join(' | ')} |`;
    });
    expect(told).toEqual(said);
  });
});

describe('workers that merge a share each', () => {
  test('fetch one change in all and hand in a share of one, however many they are: B.4 has S (1 + 1/R) up and 2 S down', () => {
    for (const workers of [8, 64]) {
      const time = roundTime(plan({ workers, shared: true, work: { write: 0, apply: 0, member: 1e-9, merge: 0 } }));
      expect(time.mergerDown).toBeCloseTo((8 * time.upBytes) / 1e8, 6);
      expect(time.mergerUp).toBeCloseTo((8 * time.downBytes) / 1e8 / workers, 6);
      expect(time.merge).toBeCloseTo(0.37523, 4);
    }
  });
});

describe('a link', () => {
  test('with loss gives a connection what Reno or CUBIC keep on their way', () => {
    // 12.2 packets of 1,448 bytes in 200 ms.
    expect(connectionBits(link(100, { latency: 0.2, loss: 0.01 })) / 1e6).toBeCloseTo(0.709, 2);
    // CUBIC at 1e-6: 1.054 x (0.2 / 1e-6)^0.75 = 9,970 packets, 577 Mbit/s.
    expect(connectionBits(link(1e6, { latency: 0.2, loss: 1e-6 })) / 1e6).toBeCloseTo(577, -1);
    expect(connectionBits(link(100, { latency: 0.2 }))).toBe(1e8);
  });

  test('is filled by more connections, but for what is sent again', () => {
    const lossy = link(20, { latency: 0.2, loss: 0.01 });
    expect(linkBits(lossy, { connections: 3 }) / 1e6).toBeCloseTo(2.13, 2);
    expect(linkBits(lossy, { connections: 64 })).toBeCloseTo(0.99 * 20e6, 0);
  });

  test('has a way there and back for each request that waits for one before it, and those in which it finds its rate', () => {
    const [far, transfer] = [link(80, { latency: 0.1 }), { connections: 2, part: 10e6 }];
    // 345 packets are on the way of each connection at 40 Mbit/s: ten, twice and so on.
    const ramp = 0.1 * Math.log2(345.3 / 10);
    expect(transferSeconds(80e6, far, transfer)).toBeCloseTo(8 + 4 * 0.1 + ramp, 3);
    let [window, sent, trips] = [10, 0, 0];
    for (; sent < 80e6 / 2 / 1448; trips++, window = Math.min(2 * window, 345.3)) sent += window;
    expect(transferSeconds(80e6, far, transfer) - 0.4).toBeCloseTo(0.1 * trips, 0);
    expect(transferSeconds(0, far, transfer)).toBe(0);
  });

  test('takes as long as the connection that carries most, where loss slows each of them', () => {
    const lossy = link(100, { latency: 0.05, loss: 0.01 });
    // 2.8 Mbit/s each: a part of 16 MB goes by one, and so do the 4 MB that are left.
    const each = connectionBits(lossy);
    const ramp = 0.05 * Math.log2((each * 0.05) / 8 / 1448 / 10);
    const [three, one] = [{ connections: 3, part: 16e6 }, 0.05 + ramp];
    expect(transferSeconds(6e6, lossy, three)).toBeCloseTo((8 * 6e6) / each + one, 6);
    const two = (8 * 16e6) / each + one;
    expect(transferSeconds(20e6, lossy, three) / two).toBeCloseTo(1.038, 2);
    expect(transferSeconds(48e6, lossy, three) / two).toBeCloseTo(1.056, 2);
    expect(transferSeconds(48e6, lossy, { ...three, whole: 64e6 })).toBeCloseTo((8 * 48e6) / each + one, 6);
  });

  test.each([
    [5_242_880, 8, 0.05],
    [5_242_880, 8, 0.2],
    [20e6, 4, 0.05],
    [20e6, 20, 0.05],
  ])(
    'with 1 %% of packets lost brings the last of %i bytes over %i connections when a simulation of CUBIC does',
    (bytes, connections, latency) => {
      const random = randomStream(7, 'lost');
      /** Windows grow by 0.53 packets a way there and back, and fall to 0.7 (RFC 9438, 4.3 and 4.6). */
      const alone = () => {
        let [window, left, trips, slow] = [10, bytes / 1448, 0, true];
        for (; left > 0; trips++) {
          const sent = Math.min(Math.floor(window), Math.ceil(left));
          let lost = 0;
          for (let i = 0; i < sent; i++) if (random.next() < 0.01) lost++;
          left -= sent - lost;
          if (lost > 0) [window, slow] = [Math.max(2, 0.7 * window), false];
          else window = slow ? 2 * window : window + 0.53;
        }
        return trips * latency;
      };
      const times = Array.from({ length: 60 }, () => Math.max(...Array.from({ length: connections }, alone)));
      const simulated = times.reduce((a, b) => a + b, 0) / times.length;
      const transfer = { connections: 1, part: bytes };
      const told = transferSeconds(bytes, link(1000, { latency, loss: 0.01 }), transfer, connections);
      expect(told / simulated).toBeGreaterThan(0.95);
      expect(told / simulated).toBeLessThan(1.1);
    },
  );
});

describe('what helps', () => {
  test('is told most first, with the share that it would give, and nothing that gives none', () => {
    const slow = plan({ workers: 8, link: link(20), dataBytes: 30_000 });
    const helps = whatHelps(slow);
    const { utilisation } = roundTime(slow);
    // Pictures come first: steps wait for them 4.7 times as long as they take.
    expect(helps[0]!.what).toBe('examples that lie on the workers');
    expect(helps.map((help) => help.utilisation)).toEqual(helps.map((help) => help.utilisation).sort((a, b) => b - a));
    for (const help of helps) expect(help.utilisation).toBeGreaterThan(utilisation);
    expect(whatHelps(plan({ workers: 8, link: link(1e9) }))).toEqual([]);
  });

  test('under loss are machines that send by BBR', () => {
    const asCheckpoints = { up: { connections: 3, part: 16e6 }, down: { connections: 4, part: 8e6 } };
    const far = plan({ workers: 8, link: link(100, { latency: 0.2, loss: 0.01 }), ...asCheckpoints });
    expect(whatHelps(far)[0]!.what).toBe('machines that send by BBR');
    const bbr = { ...far, link: { ...far.link, congestion: 'bbr' as const } };
    expect(whatHelps(bbr).map(({ what }) => what)).not.toContain('machines that send by BBR');
    expect(roundTime(bbr).up).toBeCloseTo(roundTime({ ...far, link: link(99, { latency: 0.2 }) }).up, 0);
  });

  test.each<Exchange>(['f32', 'int8'])('are fewer bits than %s, where there are any', (exchange) => {
    const helps = whatHelps(plan({ exchange, link: link(20) }), 9).map(({ what }) => what);
    expect(helps).toContain('exchange int4');
    expect(helps).not.toContain(`exchange ${exchange}`);
  });
});

describe('a round counts', () => {
  test('requests by the parts of its files, and what begins, joins and names them', () => {
    const small = plan({
      workers: 64,
      up: { connections: 3, part: 16 * 2 ** 20 },
      down: { connections: 1, part: 8 * 2 ** 20 },
    });
    const { writes, reads } = roundRequests(roundTime(small), small);
    // Parts of 16 MiB up: 340 MB in 21 and 376 MB in 23, begun, joined and named. Of 8 MiB down: 45 and 41.
    expect(writes).toBe(64 * (21 + 2 + 1) + (23 + 2 + 1));
    expect(reads).toBe(64 * (45 + 2) + 64 * (41 + 2));
  });

  test('events: 64 workers are about 200 to 400', () => {
    expect(roundEvents(64)).toEqual({ least: 201, most: 390 });
  });
});
