import { setTimeout as delay } from 'node:timers/promises';
import type { NativeConnection } from '@temporalio/worker';
import { RunnerError } from './errors.ts';
import { grpcStatus } from './grpc-status.ts';
import { mayPass } from './temporal-refusal.ts';

/** What runs and phases are found by in `temporal workflow list`; the numbers are those of Temporal's IndexedValueType. */
export const searchAttributes = {
  SiglipRun: { type: 'Keyword', value: 2, meaning: 'Name of the run.' },
  SiglipPhase: { type: 'Keyword', value: 2, meaning: 'Name of the phase that a workflow trains.' },
  SiglipState: { type: 'Keyword', value: 2, meaning: 'What it does, such as training, paused, waiting or done.' },
  SiglipStep: { type: 'Int', value: 3, meaning: 'Step of its last commit.' },
} as const;

export type AttributeName = keyof typeof searchAttributes;
const names = Object.keys(searchAttributes) as AttributeName[];
const typeNames = ['Unspecified', 'Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];

/** The part of a connection that this needs: of the client's and of the worker's alike. */
export type AttributesConnection = Pick<NativeConnection, 'operatorService' | 'workflowService'>;

/** The type is that which one of ours has by mistake; where types can't be seen, that is missing too. */
export type AttributeState = 'there' | 'missing' | { readonly type: string };
export type AttributeStates = Readonly<Record<AttributeName, AttributeState>>;

/** Who may not ask, and what a server does not know. */
const closed: ReadonlySet<unknown> = new Set([
  ...[grpcStatus.permissionDenied, grpcStatus.unimplemented, grpcStatus.unauthenticated],
]);
/** A server reads the attributes of a namespace anew every so often. */
const seenMs = 15_000;

/**
 * Which of them a namespace has. Temporal Cloud lets nobody list them, but judges queries: then each is asked for in
 * one. Errors: those of the calls.
 */
export async function lookAtSearchAttributes(
  { operatorService, workflowService }: AttributesConnection,
  namespace: string,
): Promise<AttributeStates> {
  const listed = await operatorService.listSearchAttributes({ namespace }).catch((error) => {
    if (closed.has((error as { code?: unknown }).code)) return null;
    throw error;
  });
  const states = names.map(async (name): Promise<[AttributeName, AttributeState]> => {
    const { value } = searchAttributes[name];
    if (!listed) return [name, (await canBeAsked(workflowService, namespace, name)) ? 'there' : 'missing'];
    const got = listed.customAttributes?.[name];
    if (got === undefined || got === null) return [name, 'missing'];
    return [name, got === value ? 'there' : { type: typeNames[got] ?? `type ${got}` }];
  });
  return Object.fromEntries(await Promise.all(states)) as AttributeStates;
}

async function canBeAsked(
  workflowService: AttributesConnection['workflowService'],
  namespace: string,
  name: AttributeName,
): Promise<boolean> {
  const value = searchAttributes[name].type === 'Int' ? '0' : '"none"';
  try {
    await workflowService.countWorkflowExecutions({ namespace, query: `${name} = ${value}` });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === grpcStatus.invalidArgument) return false;
    throw error;
  }
}

export interface AttributesContext {
  readonly namespace: string;
  readonly address: string;
}

/**
 * Registers what the namespace lacks; without them no workflow could report where it stands. Those that were made now.
 * SetupMissing where one has another type, or where this client may not make any: it says what to type.
 */
export async function ensureSearchAttributes(
  connection: AttributesConnection,
  context: AttributesContext,
): Promise<readonly AttributeName[]> {
  const { namespace } = context;
  const states = await lookAtSearchAttributes(connection, namespace);
  for (const name of names) {
    const state = states[name];
    if (typeof state === 'object') throw wrongType(name, state.type, context);
  }
  const missing = names.filter((name) => states[name] !== 'there');
  if (missing.length === 0) return [];
  const wanted = Object.fromEntries(missing.map((name) => [name, searchAttributes[name].value]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: wanted });
  } catch (cause) {
    if (mayPass(cause)) throw cause;
    // ALREADY_EXISTS: another one was quicker.
    if ((cause as { code?: number }).code !== 6) throw refused(missing, context, cause as Error);
  }
  return missing;
}

/** Waits until the server lets queries name all of them, 15 s at most: false when it does not until then. */
export async function untilSearchable(connection: AttributesConnection, namespace: string): Promise<boolean> {
  const end = Date.now() + seenMs;
  for (;;) {
    const asked = names.map((name) => canBeAsked(connection.workflowService, namespace, name));
    if ((await Promise.all(asked)).every(Boolean)) return true;
    if (Date.now() > end) return false;
    await delay(500);
  }
}

const isCloud = (address: string) => /\.(tmprl\.cloud|api\.temporal\.io)(:\d+)?$/i.test(address);

function refused(
  missing: readonly AttributeName[],
  { namespace, address }: AttributesContext,
  cause: Error,
): RunnerError {
  const typed = (form: (name: AttributeName, type: string) => string) =>
    missing.map((name) => form(name, searchAttributes[name].type)).join(' ');
  const cloud = `tcld namespace search-attributes add --namespace ${namespace} ${typed((name, type) => `--sa "${name}=${type}"`)}, or the namespace's page at cloud.temporal.io`;
  const own = `temporal operator search-attribute create --namespace ${namespace} ${typed((name, type) => `--name ${name} --type ${type}`)}`;
  const { details, message } = cause as { details?: unknown; message: string };
  const words = (typeof details === 'string' && details ? details : message).split('\n', 1)[0]!.slice(0, 200);
  return new RunnerError(
    'SetupMissing',
    `namespace ${namespace} lacks search attributes (${missing.join(', ')}), and this client may not add them (${words.replace(/\.$/, '')}); who may types ${isCloud(address) ? cloud : own}`,
    { cause },
  );
}

function wrongType(name: AttributeName, type: string, { namespace, address }: AttributesContext): RunnerError {
  const away = isCloud(address)
    ? `tcld namespace search-attributes rename --namespace ${namespace} --existing-name ${name} --new-name Old${name}`
    : `temporal operator search-attribute remove --namespace ${namespace} --name ${name}`;
  return new RunnerError(
    'SetupMissing',
    `search attribute ${name} of namespace ${namespace} is ${type} and must be ${searchAttributes[name].type}; use another namespace, or, if nobody needs it, type ${away} and then npm run siglip2 -- setup-namespace`,
  );
}
