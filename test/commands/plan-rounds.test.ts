import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { planFile } from '../../src/commands/plan-file.ts';
import { addRoundsOptions, roundsWanted } from '../../src/commands/rounds-options.ts';
import { RunnerError } from '../../src/runtime/errors.ts';

// ViT-B/16 at 256 pixels and the whole vocabulary: 375 million parameters, of which a table of 197 million.
const recipe = {
  version: 1,
  model: { vision: { size: 'B', patch: 16, resolution: 256 }, text: { size: 'B', length: 64, vocabulary: 'full' } },
  data: { train: 'data/train' },
  schedule: { total: { examples: 100_000_000 } },
  phases: [{ name: 'pretrain', batch: 1000 }],
};
const open = () => {
  throw new RunnerError('SetupMissing', 'no store is named');
};
const wantedOf = (options: string) => {
  const command = addRoundsOptions(new Command('plan')).exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  return roundsWanted(command.parse(options.split(' ').filter(Boolean), { from: 'user' }).opts());
};
// About 390 examples a second: the card of `field.md` B.4.
const plan = (options: string, json = false, speed: string | undefined = '6.56e13') =>
  planFile(JSON.stringify(recipe), 'recipe.json', { json, device: null, speed, open, rounds: wantedOf(options) });

describe('siglip2 plan with --link', () => {
  it('says what rounds take: bytes, seconds, how busy devices are, requests, events, a newcomer, and what would help', async () => {
    const { text } = await plan('--link 20 --workers 8 --moments reset');
    const of = text.slice(text.indexOf('  what rounds would take'));
    expect(of).toMatch(
      /^ {2}what rounds would take, by these options and else as the recipe has them; it says nothing of the loss:\n/,
    );
    expect(of).toMatch(
      / {2}phase pretrain in rounds: 8 workers, \d+ steps each, int8, moments reset, 20 Mbit\/s with 0 ms and 0 % loss\n/,
    );
    expect(of).toMatch(
      / {4}up 3\d\d\.\d MB a worker in 2 min \d+ s, down 37\d\.\d MB in 2 min 3\d s, with about 2\d\d,\d{3} of 256,000 rows of tokens up/,
    );
    // 600 s of steps, 286 s on the link, 6 s of the CPU of a worker, and of the merger 70 s: 34 down, 9 merging and 27 up.
    const [, busy] =
      /devices are busy (\d+\.\d) % of 16 min \d+ s a round: steps 10 min \d s, sending 2 min 15 s, /.exec(of)!;
    expect(Number(busy)).toBeGreaterThan(60);
    expect(Number(busy)).toBeLessThan(65);
    expect(of).toMatch(/what examples take of the link is not known without the data\n/);
    expect(of).toMatch(/the merger fetches 4\.2\d GB and merges them into 3\.0\d GB in 1 min 1\d s at 1,000 Mbit\/s\n/);
    expect(of).toMatch(/ {4}a round is 33 to 54 events of Temporal: a history takes 185 rounds or more\n/);
    expect(of).toMatch(/ {4}a worker that is new to it fetches 1\.50 GB in 10 min/);
    expect(of).toMatch(/ {4}would help, each by itself: .*exchange int4 7\d\.\d %/);
  });

  it('says how much of a link loss and latency leave', async () => {
    const { text } = await plan('--link 100 --latency 200 --loss 0.01 --workers 4 --exchange int4 --round-steps 200');
    expect(text).toContain('4 workers, 200 steps each, int4, moments averaged, 100 Mbit/s with 200 ms and 1 % loss\n');
    // 14 questions of a lane, and 0.8 s.
    expect(text).toContain(', asking store and Temporal 4 s\n');
    expect(text).toMatch(
      /leave 7\.1 Mbit\/s to 10 connections up and 7\.1 Mbit\/s to 10 down; machines that send by BBR fill the link \(--congestion bbr\)/,
    );
    expect(text).toMatch(
      /would help, each by itself: moments that begin at zero \("moments": "reset"\) .*, machines that send by BBR /,
    );
  });

  it('takes the replicas of the recipe, and says of them without a link what is known', async () => {
    const replicas = { number: 4, steps: 250, exchange: 'int4' };
    const own = JSON.stringify({ ...recipe, phases: [{ ...recipe.phases[0], replicas }] });
    const planOwn = (options: string) =>
      planFile(own, 'recipe.json', { json: false, device: null, speed: '6.56e13', open, rounds: wantedOf(options) });
    const { text } = await planOwn('');
    expect(text).toMatch(
      / {2}phase pretrain in 100 rounds: 4 replicas, 250 steps each, int4, moments averaged\n {4}a round is up 2\.\d+ GB and down [23]\.\d+ GB a worker, with about/,
    );
    expect(text).toMatch(
      / {4}most of it may be moments: with "moments": "reset" it is up 1\d\d\.\d MB and down 1\d\d\.\d MB;/,
    );
    expect((await planOwn('--link 100')).text).toContain(
      ': 4 workers, 250 steps each, int4, moments averaged, 100 Mbit',
    );
    expect((await planOwn('--link 100 --exchange bf16 --moments kept')).text).toContain('bf16, moments kept, 100 Mbit');
    await expect(plan('--link 100')).rejects.toThrow(
      '--link plans rounds on several workers; say how many by --workers N',
    );
  });

  it('counts the texts of a bank: what a slot leaves goes up, and those of all come down', async () => {
    const planOf = async (negatives: string, options = '--link 100') => {
      const replicas = { number: 4, steps: 250, exchange: 'int8', moments: 'reset', negatives };
      const own = JSON.stringify({ ...recipe, phases: [{ ...recipe.phases[0], replicas }] });
      const how = { json: true, device: null, speed: '6.56e13', open, rounds: wantedOf(options) };
      return JSON.parse((await planFile(own, 'recipe.json', how)).text);
    };
    const [local, bank] = [await planOf('local'), await planOf('bank')];
    const row = 4 * 768;
    const more = (of: 'upBytes' | 'downBytes', [one, other] = [bank, local]) =>
      one.rounds[0].time[of] - other.rounds[0].time[of];
    // A kilobyte says what the file is, and which rows are there.
    expect(more('upBytes') - 1024 * row).toBeGreaterThan(512);
    expect(more('upBytes') - 1024 * row).toBeLessThan(1200);
    expect(more('downBytes') - 4096 * row).toBeGreaterThan(512);
    expect(more('downBytes') - 4096 * row).toBeLessThan(1200);
    const of = (plan: { phases: { memory: { device: { bank: number } } }[] }) => plan.phases[0]!.memory.device.bank;
    expect([of(local), of(bank)]).toEqual([0, 4096 * row]);
    // Planned on other workers it is of as many.
    const wider = [await planOf('bank', '--link 100 --workers 16'), await planOf('local', '--link 100 --workers 16')];
    expect(more('upBytes', wider as never) - 256 * row).toBeLessThan(1200);
  });

  it('gives the same to programs', async () => {
    const { rounds } = JSON.parse((await plan('--link 100 --workers 8', true)).text);
    expect(rounds).toHaveLength(1);
    const [{ phase, time, plan: of, faster }] = rounds;
    expect(phase).toBe('pretrain');
    expect(of).toMatchObject({ exchange: 'int8', workers: 8, dataBytes: null });
    expect(faster).toBeCloseTo(8 * time.utilisation, 6);
    expect(JSON.parse((await plan('', true)).text)).not.toHaveProperty('rounds');
  });

  it('prices devices from the first round to the last, requests and what leaves the store', async () => {
    const prices = { currency: 'EUR', hour: 2, egress: 0.05, writes: 5, reads: 0.4, storage: null };
    const how = { device: null, speed: '6.56e13', open, rounds: wantedOf('--link 100 --workers 8'), prices };
    const [of] = JSON.parse(
      (await planFile(JSON.stringify(recipe), 'recipe.json', { ...how, json: true })).text,
    ).rounds;
    // 2 an hour for each of eight; 5 and 0.4 for a thousand requests; 0.05 a GB.
    expect(of.cost.devices).toBeCloseTo((of.seconds * 8 * 2) / 3600, 6);
    expect(of.cost.requests).toBeCloseTo((of.rounds * (5 * of.requests.writes + 0.4 * of.requests.reads)) / 1000, 6);
    expect(of.cost.egress).toBeCloseTo((of.rounds * 8 * 0.05 * (of.time.upBytes + of.time.downBytes)) / 1e9, 6);
    const { text } = await planFile(JSON.stringify(recipe), 'recipe.json', { ...how, json: false });
    const [, all, devices, requests, egress] =
      / {4}all rounds cost about (\S+) EUR \(devices (\S+), requests (\S+), egress (\S+)\), without examples\n/.exec(
        text,
      )!;
    expect(Number(all)).toBeCloseTo(Number(devices) + Number(requests) + Number(egress), 1);
    expect((await plan('--link 100 --workers 8')).text).not.toContain('all rounds cost');
  });

  it('counts every row of the head that a decoder ends in, and of its table those that texts touch', async () => {
    const phases = [{ name: 'caption', batch: 1000, objectives: { sigmoid: 1, captioning: { weight: 1 } } }];
    const text = JSON.stringify({ ...recipe, phases });
    const rounds = wantedOf('--link 100 --workers 8 --round-steps 10');
    const { time, plan: of } = JSON.parse(
      (await planFile(text, 'recipe.json', { json: true, device: null, speed: '6e13', open, rounds })).text,
    ).rounds[0];
    expect(of).not.toHaveProperty('parameters');
    const { 'decoder.lm_head.weight': head, ...tables } = time.rows;
    expect(head).toBeGreaterThanOrEqual(256_000);
    expect(Object.keys(tables)).toHaveLength(2);
    for (const rows of Object.values(tables)) expect((rows as number) / 34_000).toBeCloseTo(1, 0);
    // `field.md` B.4 counts 825 million parameters with a decoder; a newcomer fetches them and their moments in f32.
    expect(time.join / ((8 * 12 * 825e6) / 1e8)).toBeCloseTo(1, 1);
  });

  it.each([
    ['--link 0 --workers 2', '--link is 0; allowed: a number above 0'],
    ['--link fast --workers 2', '--link is fast; allowed: a number above 0'],
    ['--link 100 --workers 1.5', '--workers is 1.5; allowed: a whole number from 1 to 10,000'],
    ['--workers 8', '--workers is of rounds on several workers; give --link MBIT beside it'],
    ['--round-steps 8', '--round-steps is of rounds on several workers; give --link MBIT beside it'],
    ['--link 9 --workers 2 --loss 1', '--loss is 1; allowed: a share from 0 to below 1'],
    ['--link 9 --workers 2 --latency -1', '--latency is -1; allowed: milliseconds from 0 on'],
    [
      '--link 9 --workers 2 --round-steps 5 --round-minutes 1',
      '--round-steps and --round-minutes both say how long a round is; give one',
    ],
  ])('refuses %s by a sentence', (options, message) => {
    expect(() => wantedOf(options)).toThrow(message);
  });

  it('refuses an exchange that there is not, and a plan without a speed', async () => {
    expect(() => wantedOf('--link 9 --workers 2 --exchange int2')).toThrow(/Allowed choices are f32, bf16, int8, int4/);
    const slow = planFile('{}', 'r.json', {
      json: false,
      device: null,
      open,
      rounds: wantedOf('--link 9 --workers 2'),
    });
    await expect(slow).rejects.toThrow(
      /^--link plans rounds, and how long a step takes decides .*; add --speed measure/,
    );
  });
});
