import { money } from '../costs/money.ts';
import { linkBits } from '../rounds/link.ts';
import { roundTime } from '../rounds/time.ts';
import { counted, number } from '../runtime/count-text.ts';
import { size } from '../runtime/size-text.ts';
import { duration } from './format-duration.ts';
import type { RoundsEstimate } from './rounds-estimate.ts';

/** Events after which a workflow is to go on as a new one; Temporal warns at 10,240. */
const mostEvents = 10_000;

/** What rounds would take, as lines of a plan. */
export function roundsLines(estimates: readonly RoundsEstimate[]): string[] {
  const lines = estimates.flatMap(linesOf);
  if (lines.length === 0) return [];
  return [
    '  what rounds would take, by these options and else as the recipe has them; it says nothing of the loss:',
    ...lines,
  ];
}

/** Rounds of a recipe, as far as they are known without a link and a speed. */
export const ownRoundsLines = (estimates: readonly RoundsEstimate[]): string[] =>
  estimates.flatMap(({ phase, plan, time, rounds, requests, events, moments }) => [
    `  phase ${phase} in ${counted(rounds, 'round')}: ${counted(plan.workers, 'replica')}, ${counted(plan.steps, 'step')} each, ${plan.exchange}, moments ${moments}`,
    `    a round is up ${size(time.upBytes)} and down ${size(time.downBytes)} a worker${rowsText(plan, time)}, and ${count(requests.writes)} writing and ${count(requests.reads)} reading requests, without examples`,
    ...momentsText(plan, moments),
    `    a round is ${events.least} to ${events.most} events of Temporal; --link MBIT and --speed say how long it takes`,
  ]);

/** Where moments go over the wire they are most of it. */
function momentsText(plan: RoundsEstimate['plan'], moments: RoundsEstimate['moments']): string[] {
  if (moments === 'reset') return [];
  const { upBytes, downBytes } = roundTime({ ...plan, others: plan.besideMoments ?? [], kept: 0 });
  return [
    `    most of it may be moments: with "moments": "reset" it is up ${size(upBytes)} and down ${size(downBytes)}; how the loss fares by that is to be tried`,
  ];
}

function linesOf({ phase, plan, time, rounds, seconds, faster, ...of }: RoundsEstimate): string[] {
  const { link, mergerLink, workers, steps } = plan;
  const { down, apply, state, train, starved, write, up, mergerDown, merge, mergerUp, asks, wall } = time;
  const parts = [
    `steps ${duration(train)}`,
    ...part('waiting for examples', starved),
    ...part('sending', up),
    ...part('merging', mergerDown + merge + mergerUp),
    ...part('fetching', down),
    ...part('writing and adding', write + apply),
    ...part('loading and saving', state),
    ...part('asking store and Temporal', asks),
  ];
  const day = 86_400 / wall;
  return [
    `  phase ${phase} in rounds: ${counted(workers, 'worker')}, ${counted(steps, 'step')} each, ${plan.exchange}, moments ${of.moments}, ${linkText(link)}`,
    `    up ${size(time.upBytes)} a worker in ${duration(up)}, down ${size(time.downBytes)} in ${duration(down)}${rowsText(plan, time)}`,
    `    devices are busy ${percent(time.utilisation)} of ${duration(wall)} a round: ${parts.join(', ')}`,
    `    ${counted(rounds, 'round')}, about ${duration(seconds)} in all: ${faster < 1 ? 'longer than one worker takes' : `${faster.toFixed(1)} times as fast as one worker`}`,
    ...slowText(plan),
    examplesText(plan, time),
    `    the merger fetches ${size(workers * time.upBytes + (plan.outer ?? 0))} and merges them into ${size((plan.state ?? 0) + (plan.outer ?? 0))} in ${duration(mergerDown + merge + mergerUp)} at ${megabits(mergerLink.bits)}`,
    `    a round is ${count(of.requests.writes)} writing and ${count(of.requests.reads)} reading requests and ${size(of.egress)} out of the store, without examples; a day ${count(day * (of.requests.writes + of.requests.reads))} and ${size(day * of.egress)}`,
    ...costText(of.cost),
    `    a round is ${of.events.least} to ${of.events.most} events of Temporal: a history takes ${count(Math.floor(mostEvents / of.events.most))} rounds or more${of.events.most > mostEvents ? '; more workers than one workflow can hold' : ''}`,
    `    a worker that is new to it fetches ${size(time.joinBytes)} in ${duration(time.join)}`,
    of.helps.length > 0
      ? `    would help, each by itself: ${of.helps.map(({ what, utilisation }) => `${what} ${percent(utilisation)}`).join(', ')}`
      : '    nothing that is known here would help',
  ];
}

const part = (what: string, seconds: number) => (seconds >= 0.5 ? [`${what} ${duration(seconds)}`] : []);

function rowsText({ parameters, tokens, everyRow }: RoundsEstimate['plan'], { rows }: RoundsEstimate['time']): string {
  const table = parameters.find(({ name, byRow }) => byRow && !everyRow.has(name));
  if (!table) return '';
  return `, with about ${count(rows[table.name]!)} of ${count(table.shape[0]!)} rows of tokens up (supposing ${tokens} tokens a text and Zipf's law)`;
}

/** Where loss keeps a connection from filling the link. */
function slowText({ link, up, down }: RoundsEstimate['plan']): string[] {
  const [sends, gets] = [linkBits(link, up), linkBits(link, down)];
  if (gets >= 0.98 * link.bits * (1 - link.loss)) return [];
  return [
    `    loss and latency leave ${megabits(sends)} to ${up.connections} connections up and ${megabits(gets)} to ${down.connections} down; machines that send by BBR fill the link (--congestion bbr)`,
  ];
}

/** Nothing where no price is known. */
function costText({ currency, ...parts }: RoundsEstimate['cost']): string[] {
  const known = Object.entries(parts).flatMap(([name, cost]) => (cost === null ? [] : [{ name, cost }]));
  if (known.length === 0) return [];
  const all = known.reduce((sum, { cost }) => sum + cost, 0);
  const each = known.map(({ name, cost }) => `${name} ${money(cost)}`).join(', ');
  return [`    all rounds cost about ${money(all, currency)} (${each}), without examples`];
}

function examplesText(
  { dataBytes, link, down }: RoundsEstimate['plan'],
  { dataRate, starved, train }: RoundsEstimate['time'],
) {
  if (dataRate === null || dataBytes === null)
    return '    what examples take of the link is not known without the data';
  const wanted = `    examples of ${size(dataBytes)} take ${megabits(8 * dataRate)} of ${megabits(linkBits(link, down))} while steps are made`;
  return starved > 0
    ? `${wanted}: steps wait for them, ${(starved / train + 1).toFixed(1)} times as long as they take`
    : wanted;
}

const linkText = ({ bits, latency, loss, congestion }: RoundsEstimate['plan']['link']) =>
  `${megabits(bits)} with ${Math.round(1000 * latency)} ms and ${Number((100 * loss).toFixed(3))} % loss${congestion === 'bbr' ? ', by BBR' : ''}`;

function megabits(bits: number): string {
  const value = bits / 1e6;
  return `${value >= 100 ? count(value) : Number(value.toPrecision(2))} Mbit/s`;
}
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const count = (value: number) => number(Math.round(value));
