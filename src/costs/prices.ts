import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { RunnerError } from '../runtime/errors.ts';
import { variable } from '../runtime/variables.ts';

/** What things cost, in whatever money. Null: nobody says. */
export interface Prices {
  readonly currency: string | null;
  /** An hour of the device. */
  readonly hour: number | null;
  /** A GB, 10^9 bytes, that is read from the store. */
  readonly egress: number | null;
  /** 1,000 requests that write or list. */
  readonly writes: number | null;
  /** 1,000 requests that read. */
  readonly reads: number | null;
  /** A GB kept for a month. */
  readonly storage: number | null;
}

const price = z.number().min(0);
/** What `SIGLIP2_PRICES` names. */
const fileSchema = z.strictObject({
  currency: z
    .string()
    .regex(/^\S{1,8}$/)
    .optional(),
  hour: z.union([price, z.record(z.string(), price)]).optional(),
  egress: price.optional(),
  writes: price.optional(),
  reads: price.optional(),
  storage: price.optional(),
});
type Told = z.infer<typeof fileSchema>;

const largestFile = 1_000_000;
const example = '{"currency": "USD", "hour": {"NVIDIA H100 80GB HBM3": 2.5, "cpu": 0.1}, "egress": 0.09}';

/**
 * The prices of the environment; variables win over the file. RecipeInvalid for what is no price.
 * @param device name of the device by which the file has its price, `cpu` for a CPU; null where it is not known
 */
export function pricesFromEnvironment(device: string | null, env: NodeJS.ProcessEnv = process.env): Prices {
  const file = variable('SIGLIP2_PRICES', env);
  const told = file ? readPrices(file) : {};
  const currency = variable('SIGLIP2_PRICE_CURRENCY', env) || told.currency || null;
  if (currency !== null && !/^\S{1,8}$/.test(currency)) throw wrong('SIGLIP2_PRICE_CURRENCY', currency, 'such as USD');
  return {
    currency,
    hour:
      said('SIGLIP2_PRICE', variable('SIGLIP2_PRICE', env), 'what an hour of a device costs') ?? hourOf(told, device),
    egress:
      said('SIGLIP2_PRICE_EGRESS', variable('SIGLIP2_PRICE_EGRESS', env), 'what reading a GB from the store costs') ??
      told.egress ??
      null,
    ...requestsOf(env, told),
    storage:
      said('SIGLIP2_PRICE_STORAGE', variable('SIGLIP2_PRICE_STORAGE', env), 'what keeping a GB for a month costs') ??
      told.storage ??
      null,
  };
}

/** Whether the price of an hour depends on what the device is called: nobody has to be asked otherwise. */
export function pricedByDevice(env: NodeJS.ProcessEnv = process.env): boolean {
  const file = variable('SIGLIP2_PRICES', env);
  return !variable('SIGLIP2_PRICE', env) && !!file && typeof readPrices(file).hour === 'object';
}

const hourOf = ({ hour }: Told, device: string | null): number | null => {
  if (typeof hour !== 'object') return hour ?? null;
  return device !== null && Object.hasOwn(hour, device) ? hour[device]! : null;
};

/** `0.005,0.0004`: 1,000 writes or lists, and 1,000 reads; one number is for both. */
function requestsOf(env: NodeJS.ProcessEnv, told: Told): Pick<Prices, 'writes' | 'reads'> {
  const text = variable('SIGLIP2_PRICE_REQUESTS', env);
  if (!text) return { writes: told.writes ?? null, reads: told.reads ?? null };
  const [writes, reads = writes, ...more] = text.split(',').map(number);
  if (more.length > 0 || writes == null || reads == null)
    throw wrong(
      'SIGLIP2_PRICE_REQUESTS',
      text,
      'what 1,000 writes or lists cost, and 1,000 reads, such as 0.005,0.0004',
    );
  return { writes, reads };
}

const number = (text: string): number | null => {
  const value = Number(text);
  return text.trim() !== '' && Number.isFinite(value) && value >= 0 ? value : null;
};

function said(name: string, text: string | undefined, what: string): number | null {
  if (!text) return null;
  const value = number(text);
  if (value === null) throw wrong(name, text, `${what}, a number such as 1.5, or nothing`);
  return value;
}

const wrong = (name: string, text: string, allowed: string) =>
  new RunnerError('RecipeInvalid', `${name} is ${JSON.stringify(text.slice(0, 40))}; allowed: ${allowed}`);

function readPrices(file: string): Told {
  const refused = (why: string, cause?: unknown) =>
    new RunnerError('RecipeInvalid', `SIGLIP2_PRICES names ${file}, ${why}; allowed: JSON such as ${example}`, {
      cause,
    });
  let read: unknown;
  try {
    const bytes = readFileSync(file);
    if (bytes.length > largestFile) throw new Error(`it has ${bytes.length} bytes`);
    read = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw refused(`which can't be read: ${(cause as Error).message}`, cause);
  }
  const parsed = fileSchema.safeParse(read);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues as [z.core.$ZodIssue];
  throw refused(`where ${path.join('.') || 'the whole'} is wrong: ${message}`);
}
