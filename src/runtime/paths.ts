import { homedir } from 'node:os';
import { join } from 'node:path';
import { variable } from './variables.ts';

/**
 * Where things lie on this machine. Nothing of ours is written into the checkout.
 * cache: what set-up downloads or builds, safe to delete. state: services' data, logs and credentials.
 */
export interface Paths {
  readonly cache: string;
  readonly state: string;
  /** Snapshots and downloaded shards of running trainers; safe to delete when no worker runs. */
  readonly scratch: string;
}

/** `SIGLIP2_CACHE`, `SIGLIP2_STATE` and `SIGLIP2_SCRATCH` win over the XDG folders. */
export function paths(env: NodeJS.ProcessEnv = process.env): Paths {
  const xdg = (name: 'XDG_CACHE_HOME' | 'XDG_STATE_HOME', fallback: string) =>
    join(variable(name, env) || join(homedir(), fallback), 'siglip2-runner');
  const cache = variable('SIGLIP2_CACHE', env) || xdg('XDG_CACHE_HOME', '.cache');
  const state = variable('SIGLIP2_STATE', env) || xdg('XDG_STATE_HOME', join('.local', 'state'));
  return { cache, state, scratch: variable('SIGLIP2_SCRATCH', env) || join(state, 'scratch') };
}
