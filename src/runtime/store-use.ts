import { AsyncLocalStorage } from 'node:async_hooks';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

/** What was asked of the store, as its provider bills it: tries that failed count, deletions don't. */
export interface StoreUse {
  /** Requests that read an object. */
  reads: number;
  /** Requests that write or list. */
  writes: number;
  readBytes: number;
  writtenBytes: number;
}

export const noStoreUse = (): StoreUse => ({ reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 });

const counted = new AsyncLocalStorage<StoreUse>();
/** Requests of this process that no piece of work has taken to itself: those of its threads come here too. */
const rest = noStoreUse();
const channelName = 'siglip2-store-use';
let channel: BroadcastChannel | null = null;

/** Does a piece of work, and counts what that asks of the store, however deep, into `use`. */
export const countingStore = <T>(use: StoreUse, work: () => Promise<T>): Promise<T> => counted.run(use, work);

/** Counts a request. In a thread it is told to the main one, which may be asked by `takeRest`. */
export function countStoreUse(more: StoreUse): void {
  const use = counted.getStore() ?? (isMainThread ? rest : null);
  if (use) addStoreUse(use, more);
  else open().postMessage(more);
}

/** What this process counts for itself from now on, its threads too, is for `takeRest`. */
export function listenToThreads(): void {
  open().onmessage = (message) => addStoreUse(rest, (message as { data: StoreUse }).data);
}

/** What came since it was asked before. */
export function takeRest(): StoreUse {
  const taken = { ...rest };
  Object.assign(rest, noStoreUse());
  return taken;
}

/** What another process counted for the work that asks, as a function that may be called from wherever that is told. */
export function storeUseOfHelper(): (more: StoreUse) => void {
  const use = counted.getStore();
  return (more) => use && addStoreUse(use, more);
}

export function addStoreUse(to: StoreUse, more: StoreUse): void {
  to.reads += more.reads;
  to.writes += more.writes;
  to.readBytes += more.readBytes;
  to.writtenBytes += more.writtenBytes;
}

function open(): BroadcastChannel {
  channel ??= new BroadcastChannel(channelName);
  // It keeps no process alive.
  channel.unref();
  return channel;
}
