import { storeEndpoint } from '../../src/runtime/environment.ts';
import type { ServicesState } from '../../src/runtime/services-state.ts';
import { variable } from '../../src/runtime/variables.ts';

/**
 * Which services the environment names elsewhere, and so are used and not started. What `siglip2 env` of this very
 * folder has put into the shell is not elsewhere.
 */
export function outsideServices(
  env: NodeJS.ProcessEnv,
  before: ServicesState | null,
): { readonly temporal?: string; readonly s3?: string } {
  const temporal = variable('TEMPORAL_ADDRESS', env);
  const endpoint = storeEndpoint(env);
  const bucket = variable('SIGLIP2_BUCKET', env);
  const s3 = endpoint || (bucket ? `AWS, bucket ${bucket}` : undefined);
  const ownTemporal = temporal === before?.temporal?.address;
  const ownStore = endpoint ? endpoint === before?.s3?.endpoint : false;
  return {
    ...(temporal && !ownTemporal ? { temporal } : {}),
    ...(s3 && !ownStore ? { s3 } : {}),
  };
}
