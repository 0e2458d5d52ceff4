import { type Command, Option } from 'commander';
import { momentsKinds, type Replicas } from '../recipe/replicas.ts';
import { type Exchange, exchanges } from '../rounds/exchange.ts';
import { congestionControls, type Link } from '../rounds/link.ts';
import { RunnerError } from '../runtime/errors.ts';

/** What `siglip2 plan` is told of rounds on several workers. */
export interface RoundsWanted {
  readonly link: Link;
  readonly mergerLink: Link;
  /** What is not said is as the phase has it, where its recipe has replicas. */
  readonly workers: number | null;
  readonly length: { readonly steps: number } | { readonly minutes: number } | null;
  readonly exchange: Exchange | null;
  readonly moments: Replicas['moments'] | null;
}

/** As commander has them. */
export interface RoundsOptions {
  readonly link?: string;
  readonly latency?: string;
  readonly loss?: string;
  readonly congestion?: Link['congestion'];
  readonly workers?: string;
  readonly roundSteps?: string;
  readonly roundMinutes?: string;
  readonly exchange?: string;
  readonly moments?: Replicas['moments'];
  readonly mergerLink?: string;
}

export function addRoundsOptions(command: Command): Command {
  return command
    .option('--link <mbit>', 'plan rounds on several workers, each with a link of so many Mbit/s to the store')
    .option('--workers <n>', 'of rounds: how many; those of the recipe')
    .option('--latency <ms>', 'of that link, there and back (0)')
    .option('--loss <share>', 'of packets on it, such as 0.01 (0)')
    .addOption(
      new Option('--congestion <control>', 'what both ends send by, which loss slows down (cubic)').choices(
        congestionControls,
      ),
    )
    .option('--round-steps <n>', 'how many steps a worker makes in a round; as in the recipe')
    .option('--round-minutes <minutes>', 'or how long it makes them (10)')
    .addOption(
      new Option('--exchange <kind>', 'how changes are written; as in the recipe, else int8').choices(exchanges),
    )
    .addOption(
      new Option('--moments <kind>', 'where moments begin; as in the recipe, else averaged').choices(momentsKinds),
    )
    .option('--merger-link <mbit>', 'of the worker that merges (1000)');
}

/** Null where no rounds are asked for. RecipeInvalid. */
export function roundsWanted(options: RoundsOptions): RoundsWanted | null {
  const { link, congestion, workers, roundSteps, roundMinutes, exchange, moments, mergerLink } = options;
  if (link === undefined) {
    const alone = ownNames.find((name) => options[name] !== undefined);
    if (alone) throw wrong(`--${kebab(alone)} is of rounds on several workers; give --link MBIT beside it`);
    return null;
  }
  if (roundSteps !== undefined && roundMinutes !== undefined)
    throw wrong('--round-steps and --round-minutes both say how long a round is; give one');
  const latency = number('latency', options.latency ?? '0', (x) => x >= 0, 'milliseconds from 0 on') / 1000;
  const loss = number('loss', options.loss ?? '0', (x) => x >= 0 && x < 1, 'a share from 0 to below 1');
  const positive = 'a number above 0';
  const whole = (x: number) => Number.isSafeInteger(x) && x > 0;
  return {
    link: {
      bits: 1e6 * number('link', link, (x) => x > 0, positive),
      latency,
      loss,
      ...(congestion && { congestion }),
    },
    mergerLink: {
      bits: 1e6 * number('merger-link', mergerLink ?? '1000', (x) => x > 0, positive),
      latency: 0,
      loss: 0,
    },
    workers:
      workers === undefined
        ? null
        : number('workers', workers, (x) => whole(x) && x <= 10_000, 'a whole number from 1 to 10,000'),
    length:
      roundSteps !== undefined
        ? { steps: number('round-steps', roundSteps, whole, 'a whole number above 0') }
        : roundMinutes === undefined
          ? null
          : { minutes: number('round-minutes', roundMinutes, (x) => x > 0, positive) },
    exchange: exchanges.find((one) => one === exchange) ?? null,
    moments: moments ?? null,
  };
}

const ownNames = [
  'workers',
  'latency',
  'loss',
  'congestion',
  'roundSteps',
  'roundMinutes',
  'exchange',
  'moments',
  'mergerLink',
] as const;
const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const wrong = (message: string) => new RunnerError('RecipeInvalid', message);

function number(name: string, text: string, right: (value: number) => boolean, allowed: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && right(value)) return value;
  throw wrong(`--${name} is ${text}; allowed: ${allowed}`);
}
